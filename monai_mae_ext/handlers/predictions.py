"""Inference of a classifier over a folder: a row a film, whatever happened to it, and what the prediction rests on."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import Workflow
from torch import Tensor

from monai_mae_ext.data import SkippingDataset
from monai_mae_ext.familiarity import Familiarity
from monai_mae_ext.figures_classification import save_saliency
from monai_mae_ext.files import atomic_write
from monai_mae_ext.handlers.calibrate import CALIBRATION, FAMILIARITY
from monai_mae_ext.handlers.classification_report import write_rows
from monai_mae_ext.handlers.collect import CollectOutputs
from monai_mae_ext.handlers.picture_path import picture_path
from monai_mae_ext.metrics.calibration import Calibration
from monai_mae_ext.networks import ViTClassifier
from monai_mae_ext.occlusion import token_occlusion

__all__ = ["SavePredictions"]


class SavePredictions:
    """Write ``predictions.csv`` and ``predictions.json``, and a saliency overlay for each film.

    Every film of the data list has a row: calibrated probabilities and the findings at or above their thresholds, or
    the ``reason`` why it has none: it cannot be read, or it does not look like the films that the classifier was
    validated on. Names of pictures follow the film's path inside ``dataset_dir``, as ``a/film_saliency.png``.

    Args:
        network: the one that the engine runs.
        dataset: the loader's; knows the films that could not be read, and is told of the unfamiliar ones.
        output_dir: gets the files.
        dataset_dir: folder that paths are taken relative to.
        ckpt_dir: holds ``calibration.json`` and ``familiarity.safetensors``.
        label_names: of the classes, in the order of the logits.
        refuse_unfamiliar: whether images unlike the validation films get a reason instead of probabilities.
        saliency: whether to draw; occlusion costs some 50 forward passes a film at 14 x 14 tokens.
        mean, std: what ``NormalizeIntensityd`` subtracted and divided by.
    """

    def __init__(
        self,
        network: ViTClassifier,
        dataset: SkippingDataset,
        output_dir: str | os.PathLike,
        dataset_dir: str | os.PathLike,
        ckpt_dir: str | os.PathLike,
        label_names: Sequence[str],
        refuse_unfamiliar: bool,
        saliency: bool,
        mean: float,
        std: float,
    ) -> None:
        self.network, self.dataset, self.label_names = network, dataset, label_names
        self.output_dir, self.dataset_dir, self.ckpt_dir = Path(output_dir), Path(dataset_dir), Path(ckpt_dir)
        self.refuse_unfamiliar, self.saliency = refuse_unfamiliar, saliency
        self.mean, self.std = mean, std
        self.outputs = CollectOutputs(network)
        self.probabilities: dict[str, Tensor] = {}
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        self.outputs.attach(engine)
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.note_batch)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def start(self, engine: Workflow) -> None:
        self.calibration = Calibration.load(self.ckpt_dir / CALIBRATION, self.label_names)
        self.familiarity = Familiarity.load(self.ckpt_dir / FAMILIARITY) if self.refuse_unfamiliar else None
        self.probabilities = {}

    def note_batch(self, engine: Workflow) -> None:
        image = engine.state.batch["image"]
        probabilities = self.calibration.apply(engine.state.output["pred"]).cpu()
        sources, features = image.meta["filename_or_obj"], self.outputs.batches["features"][-1]
        complaints = self.familiarity.complaints(features) if self.familiarity else [None] * len(sources)
        films = zip(sources, image.as_subclass(Tensor), probabilities, complaints, strict=True)
        for path, film, row, complaint in films:
            if complaint:
                self.dataset.leave_out(path, complaint)
                continue
            self.probabilities[path] = row
            if self.saliency:
                self.draw(engine, path, film, row)

    def draw(self, engine: Workflow, path: str, film: Tensor, probabilities: Tensor) -> None:
        """Overlay for the finding that stands out most: the largest probability relative to its threshold."""
        thresholds = [0.5 if value is None else value for value in self.calibration.thresholds]
        top = int((probabilities / torch.tensor(thresholds).clamp(min=1e-6)).argmax())
        relevance = token_occlusion(self.network, film.to(engine.state.device))[top].cpu()
        target = picture_path(self.output_dir, path, self.dataset_dir, "saliency")
        title = f"{self.label_names[top]} {probabilities[top]:.2f} (threshold {thresholds[top]:.2f})"
        save_saliency(target, film[0].cpu() * self.std + self.mean, relevance, title)

    def write(self, engine: Workflow) -> None:
        rows = [self.row(str(item["image"])) for item in self.dataset.data]
        with atomic_write(self.output_dir / "predictions.json") as path:
            path.write_text(json.dumps(rows, indent=1) + "\n")
        flat = [{**row, **row["probabilities"], "findings": "|".join(row["findings"])} for row in rows]
        write_rows(
            self.output_dir / "predictions.csv",
            [{key: row.get(key) for key in ("image", "reason", "findings", *self.label_names)} for row in flat],
        )
        self.logger.info(f"{len(self.probabilities)} of {len(rows)} films have a prediction: {self.output_dir}")

    def row(self, path: str) -> dict[str, Any]:
        row: dict[str, Any] = {"image": os.path.relpath(path, self.dataset_dir), "reason": self.dataset.bad.get(path)}
        values = self.probabilities[path].tolist() if path in self.probabilities else []
        row["probabilities"] = {name: round(value, 5) for name, value in zip(self.label_names, values, strict=False)}
        judged = zip(self.label_names, values, self.calibration.thresholds, strict=False)
        row["present"] = {name: value >= threshold for name, value, threshold in judged if threshold is not None}
        row["findings"] = [name for name, present in row["present"].items() if present]
        return row
