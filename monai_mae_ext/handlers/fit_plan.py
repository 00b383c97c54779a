"""Fitting, after training, from which probability on a finding belongs into a report's plan."""

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

from monai_mae_ext.handlers.calibrate import CALIBRATION
from monai_mae_ext.handlers.collect import items_are_shared
from monai_mae_ext.metrics import Calibration, f1_thresholds
from monai_mae_ext.reports import ReportTokenizer
from monai_mae_ext.reports.tokenizer import ABSENT

__all__ = ["FitPlan"]


class FitPlan:
    """After a pass over the validation studies write ``calibration.json`` from the findings of ``pred``.

    One threshold for all findings, the one with the best F1. Where no finding is mentioned, or each in every report,
    there is nothing to fit: probabilities stay as they are, the threshold is one half, and the log says so.

    Args:
        ckpt_dir: gets the file, beside ``model.pt``.
        tokenizer: the bundle's.
    """

    def __init__(self, ckpt_dir: str | os.PathLike, tokenizer: ReportTokenizer) -> None:
        self.path, self.tokenizer = Path(ckpt_dir) / CALIBRATION, tokenizer
        self.batches: list[tuple[Tensor, Tensor]] = []
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def reset(self, engine: Workflow) -> None:
        self.batches = []

    def collect(self, engine: Workflow) -> None:
        findings = engine.state.output["pred"].findings.float().cpu()
        plan = engine.state.batch["tokens"][:, 1 : 1 + findings.shape[1]].cpu()
        self.batches.append((findings, (plan != ABSENT).int()))

    def write(self, engine: Workflow) -> None:
        probabilities, mentioned = (torch.cat(parts) for parts in zip(*self.batches, strict=True))
        if items_are_shared(engine):
            probabilities, mentioned = (
                evenly_divisible_all_gather(part, concat=True) for part in (probabilities, mentioned)
            )
        if idist.get_rank() > 0:
            return
        if mentioned.any() and not mentioned.all():
            logits = torch.logit(probabilities.double(), eps=1e-6).numpy()
            calibration = Calibration.fit(logits, mentioned.numpy(), self.tokenizer.findings, choose=f1_thresholds)
            self.logger.info(
                f"plan calibrated on {calibration.films} validation studies: temperature "
                f"{calibration.temperature:.3f}, findings are mentioned from {calibration.thresholds[0]:.3f} on"
            )
        else:
            calibration = Calibration.neutral(self.tokenizer.findings)
            self.logger.warning("the validation reports cannot calibrate the plan: none or all mention its findings")
        calibration.save(self.path)
