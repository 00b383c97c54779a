"""Features as deviations from their usual values."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Standardize"]


class Standardize(nn.Module):
    """A batch norm without weights, ``(B, F)`` to ``(B, F)``, that remembers no values that are not finite.

    One bad batch would else stay in torch's running statistics for good, though the optimiser's step is skipped
    (``NonFiniteGuard``). A batch of one, which has no spread, is standardised by the running statistics. The state is
    that of ``torch.nn.BatchNorm1d(F, affine=False)``.

    Args:
        features: F.
        momentum: share of a new batch in the running mean and variance, which evaluation uses.
        eps: added to the variance.
    """

    def __init__(self, features: int, momentum: float = 0.1, eps: float = 1e-6) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.num_batches_tracked: Tensor

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.running_mean, self.running_var
        if self.training and x.shape[0] > 1:
            mean, variance = x.float().mean(0), x.float().var(0, unbiased=False)
            self.remember(mean.detach(), variance.detach() * x.shape[0] / (x.shape[0] - 1))
        return ((x - mean) * torch.rsqrt(variance + self.eps)).to(x.dtype)

    def remember(self, mean: Tensor, variance: Tensor) -> None:
        finite = torch.isfinite(mean.sum() + variance.sum())
        self.num_batches_tracked += finite
        share = self.momentum * finite.to(mean.dtype)
        self.running_mean.lerp_(torch.where(finite, mean, self.running_mean), share)
        self.running_var.lerp_(torch.where(finite, variance, self.running_var), share)
