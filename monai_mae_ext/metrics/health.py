"""Is an encoder learning? Label-free figures that mean something beside those of a freshly initialised encoder.

An under-trained masked autoencoder is worse than none: on its first plateau the encoder throws image content away,
while the loss already looks fair. The figures here show it: the masked loss beside trivial predictors, the effective
rank of the features, and what can be read from them linearly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from monai_mae_ext.errors import UserError

__all__ = ["effective_rank", "linear_readability", "neighbour_means", "trivial_losses"]


def effective_rank(features: Tensor) -> float:
    """Number of directions that features ``(n, d)`` really use: exp of the entropy of their variance spectrum.

    (Roy and Vetterli, EUSIPCO 2007, with variances.) Between 1 (all on one line) and ``min(n, d)``; 0 if all
    rows are the same.
    """
    variance = torch.linalg.svdvals(features - features.mean(0)).double().square()
    if not variance.any():
        return 0.0
    share = variance / variance.sum()
    return math.exp(-torch.special.xlogy(share, share).sum().item())


def linear_readability(features: Tensor, targets: Tensor, groups: Tensor, ridge: float = 1e-3) -> float:
    """Share of the targets' variance that a linear map from the features explains on images it was not fitted on.

    Args:
        features: ``(n, d)``; each column is standardised first, so that scale does not matter.
        targets: ``(n, t)``.
        groups: ``(n,)`` image numbers: the map is fitted on the even images and judged on the odd ones.
        ridge: penalty, relative to the number of rows.

    Returns:
        R squared over all targets together: 1 is perfect, 0 no better than the mean, negative worse than it.
    """
    fit = groups % 2 == 0
    x = (features - features[fit].mean(0)).double() / features[fit].std(0).clamp(min=1e-6)
    y = (targets - targets[fit].mean(0)).double()
    gram = x[fit].T @ x[fit] + ridge * fit.sum() * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    residual = y[~fit] - x[~fit] @ torch.linalg.solve(gram, x[fit].T @ y[fit])
    return 1 - (residual.square().sum() / (y[~fit] - y[~fit].mean(0)).square().sum()).item()


def neighbour_means(tokens: Tensor, grid: Sequence[int]) -> Tensor:
    """Mean of each token's neighbour on either side along every axis: ``(B, N, D)`` gives ``(B, N, 2 * axes)``.

    Beyond the border a token counts as its own neighbour.
    """
    means = tokens.mean(-1).reshape(-1, *grid)
    sides = []
    for axis, count in enumerate(grid, start=1):
        place = torch.arange(count, device=tokens.device)
        for step in (-1, 1):
            sides.append(means.index_select(axis, (place + step).clamp(0, count - 1)).flatten(1))
    return torch.stack(sides, dim=-1)


def trivial_losses(
    targets: Tensor, visible: Tensor, hidden: Tensor, valid: Tensor | None = None
) -> tuple[float, float]:
    """Mean squared error on the hidden tokens of two predictors that understand nothing.

    Args:
        targets: ``(B, N, D)``, all tokens in the loss's units (raw or normalised).
        visible, hidden: bool ``(B, N)``.
        valid: ``(B, N, D)`` of 0 and 1: only values of 1 count, as in the loss; None for all.

    Returns:
        The loss of predicting the mean of each image's visible values, and the loss of predicting, at every position,
        the mean token of the *other* images (position only).

    Raises:
        UserError: for a single image.
    """
    if len(targets) < 2:
        raise UserError("the position-only predictor needs at least two images: validate on more than one")
    counts = torch.ones_like(targets) if valid is None else valid.to(targets.dtype)
    seen = counts * visible[..., None]
    visible_mean = (targets * seen).sum((1, 2), keepdim=True) / seen.sum((1, 2), keepdim=True).clamp(min=1)
    others = ((targets * counts).sum(0) - targets * counts) / (counts.sum(0) - counts).clamp(min=1)
    asked = counts * hidden[..., None]

    def error(guess: Tensor) -> float:
        return (((targets - guess).square() * asked).sum((1, 2)) / asked.sum((1, 2)).clamp(min=1)).mean().item()

    return error(visible_mean), error(others)
