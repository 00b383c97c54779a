"""Loss of a report's next words."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from monai_mae_ext.reports.tokenizer import PADDING

__all__ = ["NextTokenLoss"]


class NextTokenLoss(nn.Module):
    """Mean cross entropy over the words, full stops and ends of all reports; padding is not predicted.

    Args:
        label_smoothing: share of each target that is spread over the vocabulary.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, tokens: Tensor) -> Tensor:
        """Loss of logits ``(B, T, V)`` for the tokens ``(B, T)`` that they predict."""
        return F.cross_entropy(
            logits.flatten(0, 1).float(), tokens.flatten(), ignore_index=PADDING, label_smoothing=self.label_smoothing
        )
