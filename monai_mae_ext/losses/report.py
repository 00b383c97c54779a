"""Loss of a report: what is to be said of each finding, and which word comes next."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from monai_mae_ext.reports.tokenizer import PADDING

__all__ = ["ReportLoss"]


class ReportLoss(nn.Module):
    """Cross entropy of the plan's tokens and of the words: the sum of both means, in nats.

    Most words follow from those before, so that a decoder learns how reports read long before it looks at the film. The
    plan can be known from the film alone; its few tokens have a weight of their own. Padding is not predicted.

    Args:
        plan_length: tokens of the plan, which come first.
        plan_weight: of their mean, beside that of the words.
        label_smoothing: share of each token's target that is spread over the vocabulary.
    """

    def __init__(self, plan_length: int, plan_weight: float = 1.0, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.plan_length, self.plan_weight, self.label_smoothing = plan_length, plan_weight, label_smoothing

    def forward(self, logits: Tensor, tokens: Tensor) -> Tensor:
        """Loss of logits ``(B, T, V)`` for tokens ``(B, T)``, each of which stands behind the one that foretells it."""
        plan, words = slice(0, self.plan_length), slice(self.plan_length, None)
        loss = self.cross_entropy(logits[:, words], tokens[:, words])
        if self.plan_length:
            loss = loss + self.plan_weight * self.cross_entropy(logits[:, plan], tokens[:, plan])
        return loss

    def cross_entropy(self, logits: Tensor, tokens: Tensor) -> Tensor:
        return F.cross_entropy(
            logits.float().flatten(0, 1), tokens.flatten(), ignore_index=PADDING, label_smoothing=self.label_smoothing
        )
