"""Fitting, after training, what turns a classifier's outputs into probabilities, findings and refusals."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import ignite.distributed as idist
from ignite.engine import Events
from monai.engines import Workflow

from monai_mae_ext.familiarity import Familiarity
from monai_mae_ext.handlers.collect import CollectOutputs
from monai_mae_ext.metrics.calibration import Calibration
from monai_mae_ext.networks import ViTClassifier

__all__ = ["CALIBRATION", "FAMILIARITY", "FitCalibration"]

CALIBRATION, FAMILIARITY = "calibration.json", "familiarity.safetensors"


class FitCalibration:
    """After a pass over the validation films write ``calibration.json`` and ``familiarity.safetensors``.

    Args:
        network: the one that the engine runs, holding the weights that are delivered.
        ckpt_dir: gets both files, beside ``model.pt``.
        label_names: of the classes, in the order of the logits.
    """

    def __init__(self, network: ViTClassifier, ckpt_dir: str | os.PathLike, label_names: Sequence[str]) -> None:
        self.outputs = CollectOutputs(network)
        self.folder, self.label_names = Path(ckpt_dir), label_names
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        self.outputs.attach(engine)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        found = self.outputs.gather()
        if idist.get_rank() > 0:
            return
        calibration = Calibration.fit(found["logits"].numpy(), found["labels"].numpy(), self.label_names)
        calibration.save(self.folder / CALIBRATION)
        Familiarity.fit(found["features"]).save(self.folder / FAMILIARITY)
        self.logger.info(
            f"calibrated on {calibration.films} validation films: temperature {calibration.temperature:.3f}; "
            f"{CALIBRATION} and {FAMILIARITY} are in {self.folder}"
        )
