"""One side of the comparison, in a process of its own that sleeps between its turns."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType

import torch
from torch import nn

from monai_mae_ext.bench.clock import seconds
from monai_mae_ext.bench.memory import peak_mib, reset_peak
from monai_mae_ext.errors import UserError

__all__ = ["ArmProcess"]


def load_lazy_parts(device: torch.device) -> None:
    """Take a step with a tiny network, so that what torch imports on first use is in memory before it is measured."""
    network = nn.Linear(2, 2).to(device)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.rand(2, 2, device=device)).sum().backward()
    optimizer.step()


def serve(connection: Connection, build: Callable[[], Callable[[], object]], device: torch.device) -> None:
    """Build what takes a step, warm up, then take one step per request until the connection closes.

    Sends ``(seconds, peak MiB above the imported interpreter)`` for the warm-up and for each step.
    """
    torch.manual_seed(0)
    load_lazy_parts(device)
    reset_peak(device)
    imported = peak_mib(device)
    step = build()
    try:
        while True:
            connection.send((seconds(step, device), peak_mib(device) - imported))
            connection.recv()
    except EOFError:
        return


class ArmProcess:
    """Handle on the process of one arm; leave its ``with`` block to end it.

    Args:
        name: for an error.
        build: returns what is called to take a step; runs in the process.
        device: where the network trains.
    """

    def __init__(self, name: str, build: Callable[[], Callable[[], object]], device: torch.device) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, build, device), daemon=True)
        self.process.start()
        theirs.close()
        self.receive()

    def __enter__(self) -> ArmProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.connection.close()
        self.process.join()

    def step(self) -> tuple[float, float]:
        """Take a training step: its seconds, and the peak memory so far in MiB above the imported interpreter.

        Raises:
            UserError: if the process has died.
        """
        self.connection.send(True)
        return self.receive()

    def receive(self) -> tuple[float, float]:
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError) as error:
            self.process.join()
            raise UserError(
                f"the process of {self.name} ended with exit code {self.process.exitcode}: see its traceback above; "
                "if there is none, memory ran out: leave this case out or free some"
            ) from error
