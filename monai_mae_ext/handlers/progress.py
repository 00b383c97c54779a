"""A progress bar that shows the loss and needs no more than MONAI's ``attach(engine)``."""

from __future__ import annotations

from typing import Any

from ignite.handlers import ProgressBar
from monai.engines import Workflow

from monai_mae_ext.handlers.looking import look_every

__all__ = ["LossProgressBar"]


class LossProgressBar(ProgressBar):
    """ignite's bar with the current loss; arguments as for ``ignite.handlers.ProgressBar``, and:

    Args:
        look_every: steps between two looks at the loss; None: as the function of that name has it for the device.
    """

    def __init__(self, *arguments: Any, look_every: int | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.look_every = look_every
        self.steps = 0
        self.shown = float("nan")

    def attach(self, engine: Workflow) -> None:  # type: ignore[override]
        super().attach(engine, output_transform=self.loss)

    def loss(self, output: dict[str, Any]) -> dict[str, float]:
        """The latest loss that was looked at."""
        if self.steps % (self.look_every or look_every(output["loss"].device)) == 0:
            self.shown = output["loss"].item()
        self.steps += 1
        return {"loss": self.shown}
