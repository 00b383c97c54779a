"""A progress bar that shows the loss and needs no more than MONAI's ``attach(engine)``."""

from __future__ import annotations

from typing import Any

from ignite.handlers import ProgressBar
from monai.engines import Workflow

__all__ = ["LossProgressBar"]


class LossProgressBar(ProgressBar):
    """ignite's bar with the current loss; arguments as for ``ignite.handlers.ProgressBar``, and:

    Args:
        look_every: steps between two looks at the loss, each of which waits for the device; None: 1 on a CPU, 32 on
            other devices.
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
        look_every = self.look_every or (1 if output["loss"].device.type == "cpu" else 32)
        if self.steps % look_every == 0:
            self.shown = output["loss"].item()
        self.steps += 1
        return {"loss": self.shown}
