"""Checkpoints that survive a kill at any moment, and runs that continue when the same command is given again."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write

__all__ = ["AtomicCheckpoint", "LoadWeights", "load_weights"]


def read_checkpoint(path: str | os.PathLike, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read tensors and plain values (never code) from a file.

    Raises:
        UserError: if the file is missing or is no checkpoint.
    """
    if not Path(path).is_file():
        raise UserError(f"no weights at {path}: train first, or pass --ckpt_path FILE")
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise UserError(f"{path} cannot be read as a checkpoint ({type(error).__name__}): delete it or restore a copy") from error


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], source: str | os.PathLike) -> None:
    """Load a state dict strictly.

    Raises:
        UserError: if it belongs to another architecture; names ``source`` and the first difference.
    """
    own = network.state_dict()
    differences = [f"{key} is not in the file" for key in own if key not in weights]
    differences += [f"{key} is not in the network" for key in weights if key not in own]
    differences += [
        f"{key} is {tuple(weights[key].shape)} in the file and {tuple(own[key].shape)} in the network"
        for key in own if key in weights and weights[key].shape != own[key].shape
    ]  # fmt: skip
    if differences:
        raise UserError(
            f"{source} holds another architecture ({len(differences)} differences; first: {differences[0]}): "
            "use the configuration it was trained with, or another ckpt_dir"
        )
    network.load_state_dict(weights)


class LoadWeights:
    """Load network weights when the engine starts (for evaluation and inference).

    Args:
        network: the bare network, not its DDP wrapper.
        path: ``model.pt``, a plain state dict.
    """

    def __init__(self, network: nn.Module, path: str | os.PathLike) -> None:
        self.network = network
        self.path = path

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        load_weights(self.network, read_checkpoint(self.path), self.path)


class AtomicCheckpoint:
    """After each epoch write ``last.pt`` (all that resuming needs) and, when validation improved, ``model.pt`` (weights).

    Each file is written beside its place, flushed and moved there, so a kill leaves the old one or the new one. When the
    trainer starts and ``last.pt`` exists, the run continues behind its epoch. ``max_epochs`` always comes from the
    configuration, and so do the schedule's lengths: raise it to train on. Attach it after the validation handler.

    Args:
        ckpt_dir: folder of both files.
        network: the bare network, not its DDP wrapper; a ``facts`` attribute (its constructor's arguments) is saved too.
        optimizer, lr_scheduler: saved and restored; of the scheduler only its position.
        evaluator: engine whose best key metric decides about ``model.pt``; without one it holds the last epoch.
    """

    def __init__(
        self,
        ckpt_dir: str | os.PathLike,
        network: nn.Module,
        optimizer: Optimizer,
        lr_scheduler: LRScheduler | None = None,
        evaluator: Engine | None = None,
    ) -> None:
        self.last, self.best = Path(ckpt_dir) / "last.pt", Path(ckpt_dir) / "model.pt"
        self.network, self.optimizer, self.lr_scheduler = network, optimizer, lr_scheduler
        self.evaluator = evaluator
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.STARTED, self.resume)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def save(self, engine: Engine) -> None:
        """Write ``model.pt`` first: a kill between the two repeats the epoch and writes the same weights again."""
        if idist.get_rank() > 0:
            return
        if self.evaluator is None or self.evaluator.state.best_metric_epoch == engine.state.epoch:
            with atomic_write(self.best) as path:
                torch.save(self.network.state_dict(), path)
        with atomic_write(self.last) as path:
            torch.save(self.state(engine), path)

    def state(self, engine: Engine) -> dict[str, Any]:
        state: dict[str, Any] = {
            "facts": getattr(self.network, "facts", {}),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": engine.state.epoch,
            "epoch_length": engine.state.epoch_length,
        }
        if self.lr_scheduler is not None:
            state["scheduler_position"] = self.lr_scheduler.last_epoch
        if engine.scaler is not None:
            state["scaler"] = engine.scaler.state_dict()
        if self.evaluator is not None:
            best = self.evaluator.state
            state["best"] = {"metric": float(best.best_metric), "epoch": best.best_metric_epoch}
        return state

    def resume(self, engine: Engine) -> None:
        """Continue behind the epoch of ``last.pt``, if there is one.

        Raises:
            UserError: if it belongs to another architecture or to another number of iterations an epoch.
        """
        if not self.last.is_file():
            return
        state = read_checkpoint(self.last, engine.state.device)
        load_weights(self.network, state["network"], self.last)
        if state["epoch_length"] != engine.state.epoch_length:
            raise UserError(
                f"{self.last} was trained with {state['epoch_length']} iterations an epoch, this run has "
                f"{engine.state.epoch_length}: keep data and batch_size, or use another ckpt_dir"
            )
        self.optimizer.load_state_dict(state["optimizer"])
        if self.lr_scheduler is not None:
            self.lr_scheduler.last_epoch = state["scheduler_position"]
        if engine.scaler is not None and "scaler" in state:
            engine.scaler.load_state_dict(state["scaler"])
        if self.evaluator is not None:
            self.evaluator.state.best_metric = state["best"]["metric"]
            self.evaluator.state.best_metric_epoch = state["best"]["epoch"]
        engine.state.epoch = state["epoch"]
        engine.state.iteration = state["epoch"] * engine.state.epoch_length
        self.logger.info(f"resumed behind epoch {state['epoch']} from {self.last}")
        if state["epoch"] >= engine.state.max_epochs:
            self.logger.info("all epochs are done: raise train#trainer#max_epochs to train on, or use another ckpt_dir")
