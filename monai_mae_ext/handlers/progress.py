"""A progress bar that shows the loss and needs no more than MONAI's ``attach(engine)``."""

from __future__ import annotations

from ignite.handlers import ProgressBar
from monai.engines import Workflow

__all__ = ["LossProgressBar"]


class LossProgressBar(ProgressBar):
    """ignite's bar with the current loss; arguments as for ``ignite.handlers.ProgressBar``."""

    def attach(self, engine: Workflow) -> None:  # type: ignore[override]
        super().attach(engine, output_transform=lambda output: {"loss": output["loss"].item()})
