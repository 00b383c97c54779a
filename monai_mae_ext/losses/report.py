"""Loss of a report's words: which there are, and which comes next."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from monai_mae_ext.reports.tokenizer import PADDING, SPECIAL

__all__ = ["ReportLoss"]


class ReportLoss(nn.Module):
    """Cross entropy of each next word, and at the summary of each word's being there; nats for each word of reports.

    Most next words follow from those before, so that a decoder learns how reports read long before it looks at the
    film. The summary stands before all words: all it can know of them is on the film, and later words can look at it
    (a bag of words as labels: SuperClass, arXiv 2411.03313). Padding is not predicted.

    Args:
        summary_weight: of the summary's loss; 0 trains without it.
        label_smoothing: share of each next word's target that is spread over the vocabulary.
    """

    def __init__(self, summary_weight: float = 1.0, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.summary_weight, self.label_smoothing = summary_weight, label_smoothing

    def forward(self, logits: Tensor, tokens: Tensor) -> Tensor:
        """Loss of logits ``(B, 1 + T, V)`` for begin, which stands behind the summary, and T tokens, ``(B, 1 + T)``."""
        logits, words = logits.float(), tokens[:, 1:]
        next_word = F.cross_entropy(
            logits[:, 1:].flatten(0, 1), words.flatten(), ignore_index=PADDING, label_smoothing=self.label_smoothing
        )
        there = logits.new_zeros(logits[:, 0].shape).scatter(1, words, 1.0)[:, len(SPECIAL) :]
        summary = F.binary_cross_entropy_with_logits(logits[:, 0, len(SPECIAL) :], there, reduction="sum")
        return next_word + self.summary_weight * summary / (words != PADDING).sum()
