"""A function in a process of its own, whose memory and threads are no one else's."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from monai_mae_ext.errors import UserError

__all__ = ["FORKS", "ProcessDied", "in_own_process"]

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["monai.bundle", "ignite.engine", "monai_mae_ext.handlers", "torch._dynamo"])


class ProcessDied(UserError):
    """A process ended before it had a result; ``exit_code`` is its own."""

    def __init__(self, name: str, exit_code: int | None) -> None:
        super().__init__(
            f"{name} ended with exit code {exit_code}: see its traceback above; without one, memory ran out"
        )
        self.exit_code = exit_code


def in_own_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``function`` in a process that has imported MONAI and done nothing else yet; returns what it returns.

    Code that was not run before is read into memory when it is first used: warm up before memory is measured.

    Raises:
        ProcessDied: if there was no result.
    """
    receive, send = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_send, args=(send, function, arguments))
    process.start()
    send.close()
    with receive, suppress(EOFError):
        try:
            return receive.recv()
        finally:
            process.join()
    raise ProcessDied(function.__name__, process.exitcode)


def _send(send: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    send.send(function(*arguments))
