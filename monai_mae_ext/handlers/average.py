"""A moving average of the weights, which often validates better than the weights themselves."""

from __future__ import annotations

from ignite.handlers import EMAHandler
from monai.engines import Workflow
from torch import nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """ignite's ``EMAHandler``, and nothing at all for a momentum of 0, so that a configuration can hold it always.

    It works after each iteration, so that validations at the end of an epoch see all of it, wherever it is attached.

    Args:
        network: with its starting weights.
        momentum: share of the new weights at each iteration, in [0, 1).

    Attributes:
        averaged: the network to validate and to deliver, or None for a momentum of 0.
    """

    def __init__(self, network: nn.Module, momentum: float) -> None:
        self.handler = EMAHandler(network, momentum) if momentum else None
        self.averaged: nn.Module | None = self.handler.ema_model if self.handler else None

    def attach(self, engine: Workflow) -> None:
        if self.handler:
            self.handler.attach(engine, warn_if_exists=False)
