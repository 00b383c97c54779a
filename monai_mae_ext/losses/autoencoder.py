"""The baselines' loss: mean squared error of every voxel, and the network's own penalty."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.modules.loss import _Loss

__all__ = ["AutoencoderLoss"]


class AutoencoderLoss(_Loss):
    """Mean squared error over all voxels, in float32, plus the penalty of a ``BaselineAutoencoder`` in training.

    Args:
        penalty_weight: the weight of that penalty (the "beta" of a VAE).
    """

    def __init__(self, penalty_weight: float = 1.0) -> None:
        super().__init__()
        self.penalty_weight = penalty_weight

    def forward(self, output: Tensor | tuple[Tensor, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """Loss of a batch.

        Args:
            output: reconstruction ``(B, C, *S)``, or that and the penalty.
            target: ``image (B, C, *S)``; with ``valid (B, 1, *S)`` only voxels of 1 count (padding does not).
        """
        reconstruction, penalty = output if isinstance(output, tuple) else (output, 0.0)
        with torch.autocast(reconstruction.device.type, enabled=False):
            error = (reconstruction.float() - target["image"].float()).square()
            if "valid" in target:
                valid = target["valid"].expand_as(error)
                return (error * valid).sum() / valid.sum().clamp(min=1) + self.penalty_weight * penalty
            return error.mean() + self.penalty_weight * penalty
