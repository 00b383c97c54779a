"""A run's history as a table and as learning curves."""

from __future__ import annotations

import csv
import os
import time
from pathlib import Path

import ignite.distributed as idist
from ignite.engine import Events
from monai.engines import SupervisedTrainer, Workflow

from monai_mae_ext.figures import save_learning_curves
from monai_mae_ext.files import atomic_write
from monai_mae_ext.handlers.pace import Pace

__all__ = ["History", "read_history"]


def read_history(path: str | os.PathLike) -> list[dict[str, float]]:
    """Rows of a ``history.csv``, without the cells that an epoch left empty."""
    with open(path, newline="") as file:
        return [{key: float(cell) for key, cell in row.items() if cell} for row in csv.DictReader(file)]


class History:
    """Add one row an epoch to ``history.csv`` (epoch, seconds, lr, training and validation metrics); draw the curves.

    Rows of the same and later epochs, left by a killed or an older run, are replaced. Attach it after the validation
    handler and before the checkpoint handler: then no kill leaves a checkpoint whose epoch has no row.

    Drawing takes longer than a short epoch: the curves are drawn so often that it takes about a twentieth of the time,
    and at the end.

    Args:
        output_dir: gets ``history.csv`` and ``learning_curves.png``.
        evaluator: its metrics are added in the epochs it ran.
    """

    def __init__(self, output_dir: str | os.PathLike, evaluator: Workflow | None = None) -> None:
        self.table, self.curves = Path(output_dir) / "history.csv", Path(output_dir) / "learning_curves.png"
        self.evaluator = evaluator
        self.started = time.perf_counter()
        self.undrawn: list[dict[str, float]] = []
        self.pace = Pace()

    def attach(self, engine: SupervisedTrainer) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self.start_clock)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.add_epoch)
        engine.add_event_handler(Events.COMPLETED, self.draw)

    def start_clock(self, engine: SupervisedTrainer) -> None:
        self.started = time.perf_counter()

    def add_epoch(self, engine: SupervisedTrainer) -> None:
        if idist.get_rank() > 0:
            return
        row = {"epoch": engine.state.epoch, "seconds": round(time.perf_counter() - self.started, 3)}
        row["lr"] = engine.optimizer.param_groups[0]["lr"]
        row |= engine.state.metrics
        if self.evaluator is not None and self.evaluator.state.epoch == engine.state.epoch:
            row |= self.evaluator.state.metrics
        earlier = read_history(self.table) if self.table.is_file() else []
        rows = [*(old for old in earlier if old["epoch"] < row["epoch"]), row]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        with atomic_write(self.table) as path, open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        self.undrawn = rows
        if self.pace.is_due():
            self.draw()

    def draw(self) -> None:
        """Draw the table, unless that was done since its last row."""
        if self.undrawn:
            with self.pace.work():
                save_learning_curves(self.undrawn, self.curves)
        self.undrawn = []
