"""Inference of a report generator over a folder: a row a study, whatever happened to it."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import Workflow
from torch import Tensor

from monai_mae_ext.data import SkippingDataset
from monai_mae_ext.familiarity import Familiarity
from monai_mae_ext.figures_report import save_report
from monai_mae_ext.files import atomic_write
from monai_mae_ext.handlers.calibrate import FAMILIARITY
from monai_mae_ext.handlers.classification_report import write_rows
from monai_mae_ext.handlers.picture_path import picture_path
from monai_mae_ext.networks import ReportGenerator
from monai_mae_ext.reports import MENTIONED, ReportTokenizer, find_mentions, readable_report

__all__ = ["SaveReports"]


class SaveReports:
    """Write ``reports.json`` and ``reports.csv``, and for each study a picture of what cross attention looked at.

    Every study of the data list has a row: the report, the probability of each word given those before it, the findings
    that it mentions, and how probable each finding of its plan was; or the ``reason`` why it has none: a film cannot be
    read, or does not look like the films that the generator was validated on. Pictures are named after the frontal
    film, as ``a/film_report.png``.

    Args:
        network: the one that the engine runs.
        tokenizer: the bundle's.
        dataset: the loader's; knows the films that could not be read, and is told of the unfamiliar ones.
        output_dir: gets the files.
        dataset_dir: folder that paths are taken relative to.
        ckpt_dir: holds ``familiarity.safetensors``.
        refuse_unfamiliar: whether images unlike the validation films get a reason instead of a report.
        pictures: whether to draw.
        mean, std: what ``NormalizeIntensityd`` subtracted and divided by.
    """

    def __init__(
        self,
        network: ReportGenerator,
        tokenizer: ReportTokenizer,
        dataset: SkippingDataset,
        output_dir: str | os.PathLike,
        dataset_dir: str | os.PathLike,
        ckpt_dir: str | os.PathLike,
        refuse_unfamiliar: bool,
        pictures: bool,
        mean: float,
        std: float,
    ) -> None:
        self.network, self.tokenizer, self.dataset = network, tokenizer, dataset
        self.output_dir, self.dataset_dir, self.ckpt_dir = Path(output_dir), Path(dataset_dir), Path(ckpt_dir)
        self.refuse_unfamiliar, self.pictures = refuse_unfamiliar, pictures
        self.mean, self.std = mean, std
        self.reports: dict[str, dict[str, Any]] = {}
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.note_batch)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def start(self, engine: Workflow) -> None:
        self.familiarity = Familiarity.load(self.ckpt_dir / FAMILIARITY) if self.refuse_unfamiliar else None
        self.reports = {}

    def note_batch(self, engine: Workflow) -> None:
        image, reports = engine.state.batch["image"], engine.state.output["pred"]
        sources = image.meta["filename_or_obj"]
        complaints = self.familiarity.complaints(reports.features) if self.familiarity else [None] * len(sources)
        for number, (path, complaint) in enumerate(zip(sources, complaints, strict=True)):
            if complaint:
                self.dataset.leave_out(path, complaint)
                continue
            words = self.tokenizer.words(reports.tokens[number])
            probabilities = reports.log_probabilities[number, : len(words)].exp().cpu()
            self.reports[path] = self.report(words, probabilities, reports.findings[number].tolist())
            if self.pictures:
                attention = reports.attention[number, : len(words)].cpu()
                self.draw(path, image[number].as_subclass(Tensor).cpu(), words, probabilities, attention)

    def report(self, words: list[str], probabilities: Tensor, plan: list[float]) -> dict[str, Any]:
        text = " ".join(words)
        findings = [name for name, present in zip(MENTIONED, find_mentions(text), strict=True) if present]
        pairs = zip(words, probabilities.tolist(), strict=True)
        return {
            "report": readable_report(text),
            "findings": findings,
            "finding_probabilities": {
                name: round(value, 5) for name, value in zip(self.tokenizer.findings, plan, strict=True)
            },
            "probability": round(float(probabilities.log().mean().exp()), 5) if words else None,
            "words": [{"word": word, "probability": round(value, 5)} for word, value in pairs],
        }

    def draw(self, path: str, films: Tensor, words: list[str], probabilities: Tensor, attention: Tensor) -> None:
        target = picture_path(self.output_dir, path, self.dataset_dir, "report")
        grid = self.network.encoder.grid
        maps = attention.reshape(len(words), len(films), *grid)
        films = torch.clamp(films * self.std + self.mean, 0, 1)
        plan, mentioned = (self.reports[path][key] for key in ("finding_probabilities", "findings"))
        save_report(target, films, plan, mentioned, words, probabilities, maps)

    def write(self, engine: Workflow) -> None:
        rows = [self.row(str(item["image"])) for item in self.dataset.data]
        with atomic_write(self.output_dir / "reports.json") as path:
            path.write_text(json.dumps(rows, indent=1) + "\n")
        columns = ("image", "reason", "report", "findings", "probability")
        flat = [row | {"findings": "|".join(row.get("findings", []))} for row in rows]
        write_rows(self.output_dir / "reports.csv", [{key: row.get(key) for key in columns} for row in flat])
        self.logger.info(f"{len(self.reports)} of {len(rows)} studies have a report: {self.output_dir}")

    def row(self, path: str) -> dict[str, Any]:
        start = {"image": os.path.relpath(path, self.dataset_dir), "reason": self.dataset.bad.get(path)}
        return start | self.reports.get(path, {})
