"""Fitting, after training, what an image must look like to get a report."""

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
from monai_mae_ext.handlers.calibrate import FAMILIARITY
from monai_mae_ext.handlers.collect import items_are_shared

__all__ = ["FitFamiliarity"]


class FitFamiliarity:
    """After a pass over the validation films write ``familiarity.safetensors`` from the features of ``pred``.

    Args:
        ckpt_dir: gets the file, beside ``model.pt``.
    """

    def __init__(self, ckpt_dir: str | os.PathLike) -> None:
        self.path = Path(ckpt_dir) / FAMILIARITY
        self.features: list[Tensor] = []
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def reset(self, engine: Workflow) -> None:
        self.features = []

    def collect(self, engine: Workflow) -> None:
        self.features.append(engine.state.output["pred"].features.float().cpu())

    def write(self, engine: Workflow) -> None:
        features = torch.cat(self.features)
        if items_are_shared(engine):
            features = evenly_divisible_all_gather(features, concat=True)
        if idist.get_rank() == 0:
            Familiarity.fit(features).save(self.path)
            self.logger.info(f"{len(features)} validation films tell what is familiar: {self.path}")
