"""An evaluation's result as one table an image and one summary."""

from __future__ import annotations

import csv
import json
import logging
import os
from pathlib import Path

import ignite.distributed as idist
from ignite.engine import Events
from monai.engines import Workflow

from monai_mae_ext.files import atomic_write

__all__ = ["ScoreTable"]


class ScoreTable:
    """Write ``evaluation.json`` (every metric of the evaluator) and ``per_image.csv`` (one row an image), and log the
    means.

    MONAI's ``MetricsSaver`` would write three files for each metric. Runs in one process; attach it after all metrics.

    Args:
        output_dir: gets both files.
        dataset_dir: folder that image paths are written relative to.
    """

    def __init__(self, output_dir: str | os.PathLike, dataset_dir: str | os.PathLike) -> None:
        self.output_dir, self.dataset_dir = Path(output_dir), Path(dataset_dir)
        self.images: list[str] = []
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.note_images)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def reset(self, engine: Workflow) -> None:
        if idist.get_world_size() > 1:
            raise ValueError("ScoreTable knows only the images of its own process: evaluate with one process")
        self.images = []

    def note_images(self, engine: Workflow) -> None:
        sources = engine.state.batch["image"].meta["filename_or_obj"]
        self.images += [os.path.relpath(source, self.dataset_dir) for source in sources]

    def write(self, engine: Workflow) -> None:
        metrics, details = engine.state.metrics, engine.state.metric_details
        with atomic_write(self.output_dir / "evaluation.json") as path:
            path.write_text(json.dumps({"images": len(self.images), **metrics}, indent=4) + "\n")
        with atomic_write(self.output_dir / "per_image.csv") as path, open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["image", *details])
            columns = [scores.flatten().tolist() for scores in details.values()]
            writer.writerows(zip(self.images, *columns, strict=True))
        for name in details:
            self.logger.info(f"{name:28} {metrics[name]:.4f}")
