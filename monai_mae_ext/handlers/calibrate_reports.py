"""Fitting, after training, which findings belong into a report's plan, and which images get a report."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import ignite.distributed as idist
import torch
from ignite.engine import Events
from monai.engines import Workflow
from monai.utils import evenly_divisible_all_gather
from torch import Tensor

from monai_mae_ext.familiarity import Familiarity
from monai_mae_ext.handlers.calibrate import CALIBRATION, FAMILIARITY
from monai_mae_ext.handlers.collect import items_are_shared
from monai_mae_ext.metrics import Calibration, f1_thresholds
from monai_mae_ext.reports import ReportTokenizer
from monai_mae_ext.reports.tokenizer import ABSENT

__all__ = ["FitReportCalibration"]


class FitReportCalibration:
    """After a pass over the validation studies write ``calibration.json`` and ``familiarity.safetensors``.

    They come from the findings and the features of ``pred``. All findings of the plan have one threshold, the one with
    the best F1. Where no finding is mentioned, or each in every report, there is nothing to fit: probabilities stay as
    they are, the threshold is one half, and the log says so.

    Args:
        ckpt_dir: gets both files, beside ``model.pt``.
        tokenizer: the bundle's.
    """

    def __init__(self, ckpt_dir: str | os.PathLike, tokenizer: ReportTokenizer) -> None:
        self.folder, self.tokenizer = Path(ckpt_dir), tokenizer
        self.batches: list[tuple[Tensor, ...]] = []
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def reset(self, engine: Workflow) -> None:
        self.batches = []

    def collect(self, engine: Workflow) -> None:
        reports, tokens = engine.state.output["pred"], engine.state.batch["tokens"]
        mentioned = tokens[:, 1 : 1 + reports.findings.shape[1]] != ABSENT
        self.batches.append((reports.features.float().cpu(), reports.findings.float().cpu(), mentioned.int().cpu()))

    def write(self, engine: Workflow) -> None:
        parts = [torch.cat(batches) for batches in zip(*self.batches, strict=True)]
        if items_are_shared(engine):
            parts = [evenly_divisible_all_gather(part, concat=True) for part in parts]
        if idist.get_rank() > 0:
            return
        features, probabilities, mentioned = parts
        Familiarity.fit(features).save(self.folder / FAMILIARITY)
        self.logger.info(f"{len(features)} validation films tell what is familiar: {self.folder / FAMILIARITY}")
        self.fit_plan(probabilities, mentioned).save(self.folder / CALIBRATION)

    def fit_plan(self, probabilities: Tensor, mentioned: Tensor) -> Calibration:
        """From the plans' probabilities, and what the reports mention, 0 or 1; both ``(N, F)``."""
        if mentioned.all() or not mentioned.any():
            self.logger.warning("the validation reports cannot calibrate the plan: none or all mention its findings")
            return Calibration.neutral(self.tokenizer.findings)
        logits = torch.logit(probabilities.double(), eps=1e-6).numpy()
        calibration = Calibration.fit(logits, mentioned.numpy(), self.tokenizer.findings, choose=f1_thresholds)
        self.logger.info(
            f"plan calibrated on {calibration.films} validation studies: temperature {calibration.temperature:.3f}, "
            f"findings are mentioned from {calibration.thresholds[0]:.3f} on"
        )
        return calibration
