"""From plain random masking to full region-aware masking over the first epochs."""

from __future__ import annotations

from ignite.engine import Events
from monai.engines import Workflow

from monai_mae_ext.transforms.region_masking import RegionMasking

__all__ = ["MaskingRamp"]


class MaskingRamp:
    """Raise a ``RegionMasking``'s strength linearly: from 0 in the first epoch to 1 in epoch ``epochs + 1``.

    Args:
        masking: the object that the loader's transform holds; the loader must not copy it into worker processes.
        epochs: length of the ramp; 0 for full strength at once.
    """

    def __init__(self, masking: RegionMasking, epochs: int) -> None:
        self.masking, self.epochs = masking, epochs

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Workflow) -> None:
        self.masking.strength = min(1.0, (engine.state.epoch - 1) / self.epochs) if self.epochs else 1.0
