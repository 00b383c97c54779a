"""The multi-label classifier's loss: binary cross-entropy with label smoothing and weights for rare classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.loss import _Loss

from monai_mae_ext.errors import UserError

__all__ = ["MultiLabelLoss", "positive_weights"]


class MultiLabelLoss(_Loss):
    """Mean binary cross-entropy with logits over films and classes, computed in float32 outside autocast.

    Args:
        pos_weight: ``(L,)``, how often each class's positives count (see ``positive_weights``); None for once.
        label_smoothing: s in [0, 1) moves the targets y to y (1 - s) + s / 2.

    Raises:
        UserError: for another smoothing.
    """

    pos_weight: Tensor | None

    def __init__(self, pos_weight: Sequence[float] | Tensor | None = None, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise UserError(f"label_smoothing {label_smoothing} must be at least 0 and below 1, e.g. 0.1")
        self.label_smoothing = label_smoothing
        weight = None if pos_weight is None else torch.as_tensor(pos_weight, dtype=torch.float32)
        self.register_buffer("pos_weight", weight)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of a batch: ``logits (B, L)``, ``labels (B, L)`` of 0 and 1 in any dtype."""
        targets = labels.float() * (1 - self.label_smoothing) + self.label_smoothing / 2
        with torch.autocast(logits.device.type, enabled=False):
            return F.binary_cross_entropy_with_logits(logits.float(), targets, pos_weight=self.pos_weight)


def positive_weights(labels: Sequence[Sequence[int]] | Tensor, maximum: float = 20.0) -> Tensor:
    """Negatives over positives of each class, ``(L,)``, so that both sides weigh the same in the loss.

    It lifts the probabilities of rare classes: calibrate before reading them.

    Args:
        labels: ``(N, L)`` of the training part, 0 or 1.
        maximum: cap, because a handful of films must not rule the gradient.

    Returns:
        float32 weights within [0, maximum]; 1 for a class without positives.
    """
    wanted = torch.as_tensor(labels, dtype=torch.float32)
    positives = wanted.sum(0)
    weights = ((len(wanted) - positives) / positives).clamp(max=maximum)
    return torch.where(positives > 0, weights, 1.0)
