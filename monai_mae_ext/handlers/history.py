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

__all__ = ["History", "read_history"]


def read_history(path: str | os.PathLike) -> list[dict[str, float]]:
    """Rows of a ``history.csv``, without the cells that an epoch left empty."""
    with open(path, newline="") as file:
        return [{key: float(cell) for key, cell in row.items() if cell} for row in csv.DictReader(file)]


class History:
    """Add one row an epoch to ``history.csv`` (epoch, seconds, lr, training and validation metrics) and redraw the
    curves.

    On a resumed run rows behind the resumed epoch are dropped. Attach it after the checkpoint handler.

    Args:
        output_dir: gets ``history.csv`` and ``learning_curves.png``.
        evaluator: its metrics are added in the epochs it ran.
    """

    def __init__(self, output_dir: str | os.PathLike, evaluator: Workflow | None = None) -> None:
        self.table, self.curves = Path(output_dir) / "history.csv", Path(output_dir) / "learning_curves.png"
        self.evaluator = evaluator
        self.rows: list[dict[str, float]] = []
        self.started = time.perf_counter()

    def attach(self, engine: SupervisedTrainer) -> None:
        engine.add_event_handler(Events.STARTED, self.recall)
        engine.add_event_handler(Events.EPOCH_STARTED, self.start_clock)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.add_epoch)

    def recall(self, engine: SupervisedTrainer) -> None:
        if self.table.is_file() and engine.state.epoch > 0:
            self.rows = [row for row in read_history(self.table) if row["epoch"] <= engine.state.epoch]

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
        self.rows.append(row)
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        with atomic_write(self.table) as path, open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.rows)
        save_learning_curves(self.rows, self.curves)
