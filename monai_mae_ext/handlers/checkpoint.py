"""Checkpoints that survive a kill at any moment, and runs that continue when the same command is given again."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer, Workflow
from torch import nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_optimizer_state_dict
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from monai_mae_ext.checksums import sum_beside
from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write
from monai_mae_ext.handlers.pace import Pace
from monai_mae_ext.sharding import WHOLE, is_sharded
from monai_mae_ext.weights import check_facts, load_weights, read_checkpoint

__all__ = ["AtomicCheckpoint", "LoadWeights"]


class LoadWeights:
    """Load network weights when the engine starts (for evaluation and inference).

    Where the run's ``last.pt`` lies beside them, the network must have been built as it says.

    Args:
        network: the bare network, not its DDP wrapper.
        path: ``model.pt``, a plain state dict.

    Raises:
        UserError: when called, if the file is missing or holds another architecture.
    """

    def __init__(self, network: nn.Module, path: str | os.PathLike) -> None:
        self.network = network
        self.path = path

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Workflow) -> None:
        load_weights(self.network, read_checkpoint(self.path), self.path)
        run = Path(self.path).with_name("last.pt")
        if run.is_file():
            check_facts(self.network, read_checkpoint(run, mmap=True).get("facts", {}), self.path)


class AtomicCheckpoint:
    """After an epoch write ``last.pt`` (all that resuming needs) and, when validation improved, ``model.pt`` (weights).

    Each file is written beside its place, flushed and moved there, so a kill leaves the old one or the new one. When
    the trainer starts and ``last.pt`` exists, the run continues behind its epoch. ``max_epochs`` always comes from the
    configuration, and so do the schedule's lengths: raise it to train on. Attach it after the validation handler.

    Epochs may be shorter than writing takes, with few labels for instance: so that writing takes about a twentieth of
    the time, ``last.pt`` then waits some epochs, though never beyond an improvement, nor beyond the end.

    Args:
        ckpt_dir: folder of both files.
        network: the bare network, not its DDP wrapper; a ``facts`` attribute (its constructor's arguments) is saved
            too.
        optimizer, lr_scheduler: saved and restored; of the scheduler only its position.
        evaluator: engine whose best key metric decides about ``model.pt``; without one it holds the last epoch.
        averaged: a moving average of ``network`` that is validated in its place: ``model.pt`` then holds its weights,
            ``last.pt`` both.
    """

    def __init__(
        self,
        ckpt_dir: str | os.PathLike,
        network: nn.Module,
        optimizer: Optimizer,
        lr_scheduler: LRScheduler | None = None,
        evaluator: Workflow | None = None,
        averaged: nn.Module | None = None,
    ) -> None:
        self.last, self.best = Path(ckpt_dir) / "last.pt", Path(ckpt_dir) / "model.pt"
        self.network, self.optimizer, self.lr_scheduler = network, optimizer, lr_scheduler
        self.evaluator, self.averaged = evaluator, averaged
        self.pace = Pace()
        self.written_epoch: int | None = None
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: SupervisedTrainer) -> None:
        engine.add_event_handler(Events.STARTED, self.resume)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)
        engine.add_event_handler(Events.COMPLETED, self.finish)

    def save(self, engine: SupervisedTrainer) -> None:
        """Write what is due, ``model.pt`` first: a kill between the two repeats epochs and writes the same weights."""
        improved = self.evaluator is not None and self.evaluator.state.best_metric_epoch == engine.state.epoch
        due = improved or self.pace.is_due()
        if is_sharded(self.network):  # all processes gather the weights, and go by the first one's clock
            due = bool(idist.broadcast(float(due), src=0))
        elif idist.get_rank() > 0:
            return
        if due:
            self.write(engine, improved)

    def write(self, engine: SupervisedTrainer, improved: bool) -> None:
        with self.pace.work():
            state = self.state(engine)
            if idist.get_rank() == 0:
                if improved or self.evaluator is None:
                    with atomic_write(self.best) as path:
                        torch.save(state["averaged" if self.averaged is not None else "network"], path)
                        sum_beside(self.best).unlink(missing_ok=True)  # of published weights, which end here
                with atomic_write(self.last) as path:
                    torch.save(state, path)
        self.written_epoch = engine.state.epoch

    def finish(self, engine: SupervisedTrainer) -> None:
        """Write the last epoch, if its writing was put off; no process goes on before it is written."""
        if engine.state.epoch != self.written_epoch:
            self.pace = Pace()
            self.save(engine)
        idist.barrier()

    def state(self, engine: SupervisedTrainer) -> dict[str, Any]:
        weights, optimizer = get_state_dict(self.network, self.optimizer, options=WHOLE)
        state: dict[str, Any] = {
            "facts": getattr(self.network, "facts", {}),
            "network": weights,
            "optimizer": optimizer,
            "epoch": engine.state.epoch,
            "epoch_length": engine.state.epoch_length,
        }
        if self.lr_scheduler is not None:
            state["scheduler_position"] = self.lr_scheduler.last_epoch
        if self.averaged is not None:
            state["averaged"] = self.averaged.state_dict()
        if engine.scaler is not None:
            state["scaler"] = engine.scaler.state_dict()
        if self.evaluator is not None:
            best = self.evaluator.state
            state["best"] = {"metric": float(best.best_metric), "epoch": best.best_metric_epoch}
        return state

    def resume(self, engine: SupervisedTrainer) -> None:
        """Continue behind the epoch of ``last.pt``, if there is one.

        Raises:
            UserError: if it belongs to another architecture or to another number of iterations an epoch.
        """
        if not self.last.is_file():
            return
        state = read_checkpoint(self.last, "cpu" if is_sharded(self.network) else engine.state.device)
        load_weights(self.network, state["network"], self.last)
        check_facts(self.network, state.get("facts", {}), self.last)
        if state["epoch_length"] != engine.state.epoch_length:
            raise UserError(
                f"{self.last} was trained with {state['epoch_length']} iterations an epoch, this run has "
                f"{engine.state.epoch_length}: keep data and batch_size, or use another ckpt_dir"
            )
        if self.averaged is not None:
            load_weights(self.averaged, state.get("averaged", state["network"]), self.last)
        set_optimizer_state_dict(self.network, self.optimizer, state["optimizer"], options=WHOLE)
        if self.lr_scheduler is not None:
            self.lr_scheduler.last_epoch = state["scheduler_position"]
        if engine.scaler is not None and "scaler" in state:
            engine.scaler.load_state_dict(state["scaler"])
        if self.evaluator is not None:
            self.evaluator.state.best_metric = state["best"]["metric"]
            self.evaluator.state.best_metric_epoch = state["best"]["epoch"]
        engine.state.epoch = self.written_epoch = state["epoch"]
        engine.state.iteration = state["epoch"] * engine.state.epoch_length
        self.logger.info(f"resumed behind epoch {state['epoch']} from {self.last}")
        if state["epoch"] >= engine.state.max_epochs:
            self.logger.info("all epochs are done: raise train#trainer#max_epochs to train on, or use another ckpt_dir")
