"""A multi-label classifier's evaluation as tables and figures."""

from __future__ import annotations

import csv
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Events
from monai.engines import Workflow

from monai_mae_ext.figures_classification import save_reliability_diagram, save_roc_curves
from monai_mae_ext.files import atomic_write
from monai_mae_ext.handlers.calibrate import CALIBRATION
from monai_mae_ext.handlers.collect import CollectOutputs
from monai_mae_ext.metrics.calibration import Calibration, expected_calibration_error
from monai_mae_ext.metrics.classification import classification_table, mean_scores
from monai_mae_ext.networks import ViTClassifier

__all__ = ["ClassificationReport", "write_rows"]

MIN_POSITIVES = 10


def write_rows(path: str | os.PathLike, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV, atomically; the columns are the keys of the first row, None is an empty cell."""
    with atomic_write(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


class ClassificationReport:
    """After a pass over labelled films write what there is to say about the classifier.

    ``evaluation.json``: mean AUC over all classes that can be scored, and over those with at least 10 positives, with
    95 % bootstrap intervals over patients; calibration error before and after the temperature. ``per_class.csv``: AUC
    and average precision with intervals. ``per_image.csv``: labels and probabilities of each film. ``roc.png``,
    ``reliability.png``. Runs in one process.

    Args:
        network: the one that the engine runs.
        output_dir: gets the files.
        dataset_dir: folder that image paths are written relative to.
        ckpt_dir: holds ``calibration.json``.
        label_names: of the classes, in the order of the logits.
    """

    def __init__(
        self,
        network: ViTClassifier,
        output_dir: str | os.PathLike,
        dataset_dir: str | os.PathLike,
        ckpt_dir: str | os.PathLike,
        label_names: Sequence[str],
    ) -> None:
        self.outputs = CollectOutputs(network)
        self.output_dir, self.dataset_dir, self.ckpt_dir = Path(output_dir), Path(dataset_dir), Path(ckpt_dir)
        self.label_names = label_names
        self.images: list[str] = []
        self.patients: list[str] = []
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        self.outputs.attach(engine)
        engine.add_event_handler(Events.EPOCH_STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.note_films)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def start(self, engine: Workflow) -> None:
        if idist.get_world_size() > 1:
            raise ValueError("ClassificationReport knows only the films of its own process: evaluate with one process")
        self.calibration = Calibration.load(self.ckpt_dir / CALIBRATION, self.label_names)
        self.images, self.patients = [], []

    def note_films(self, engine: Workflow) -> None:
        sources = engine.state.batch["image"].meta["filename_or_obj"]
        self.images += [os.path.relpath(source, self.dataset_dir) for source in sources]
        self.patients += engine.state.batch["patient"]

    def write(self, engine: Workflow) -> None:
        if not self.images:  # no film could be read, which is said at the end
            return
        found = self.outputs.gather()
        logits, labels = found["logits"], found["labels"].numpy().astype(int)
        raw, probabilities = logits.sigmoid().numpy(), self.calibration.apply(logits).numpy()
        summary: dict[str, Any] = mean_scores(
            probabilities, labels, self.label_names, self.patients, min_positives=MIN_POSITIVES
        )
        summary["calibration_error_before"] = expected_calibration_error(raw, labels)
        summary["calibration_error"] = expected_calibration_error(probabilities, labels)
        summary["temperature"] = self.calibration.temperature
        with atomic_write(self.output_dir / "evaluation.json") as path:
            path.write_text(json.dumps(summary, indent=4) + "\n")
        table = classification_table(probabilities, labels, self.label_names, self.patients)
        write_rows(self.output_dir / "per_class.csv", table)
        write_rows(self.output_dir / "per_image.csv", self.film_rows(probabilities, labels))
        save_roc_curves(probabilities, labels, self.label_names, self.output_dir / "roc.png")
        save_reliability_diagram(raw, probabilities, labels, self.output_dir / "reliability.png")
        self.log(summary, table)

    def film_rows(self, probabilities: Any, labels: Any) -> list[dict[str, Any]]:
        rows = []
        for image, patient, row, truth in zip(self.images, self.patients, probabilities, labels, strict=True):
            cells: dict[str, Any] = {
                f"probability {name}": float(value) for name, value in zip(self.label_names, row, strict=True)
            }
            cells |= {f"label {name}": int(value) for name, value in zip(self.label_names, truth, strict=True)}
            rows.append({"image": image, "patient": patient, **cells})
        return rows

    def log(self, summary: Mapping[str, Any], table: Sequence[Mapping[str, Any]]) -> None:
        for row in table:
            score = (
                row["note"] if row["note"] else f"AUC {row['auc']:.3f} ({row['auc_low']:.3f} to {row['auc_high']:.3f})"
            )
            self.logger.info(f"{row['name']:20} {row['positives']:5} positives  {score}")
        if summary["mean_auc"] is not None:
            self.logger.info(
                f"mean AUC {summary['mean_auc']:.3f} ({summary['mean_auc_low']:.3f} to {summary['mean_auc_high']:.3f}) "
                f"over {summary['classes']} classes of {summary['films']} films"
            )
