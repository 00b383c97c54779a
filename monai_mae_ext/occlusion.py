"""Which tokens a prediction rests on: leave windows of them out, and see how far the logits fall."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from monai.networks.utils import eval_mode
from torch import Tensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks import ViTClassifier

__all__ = ["token_occlusion"]


def token_occlusion(
    network: ViTClassifier, image: Tensor, window: int | None = None, stride: int | None = None
) -> Tensor:
    """Occlusion maps (Zeiler and Fergus, arXiv 1311.2901) of all classes at once, at the token grid.

    The tokens of a window are left out of the sequence, not painted grey: an encoder that was pre-trained with most
    tokens hidden meets nothing unusual.

    Args:
        network: is put into evaluation mode meanwhile; handlers meet it in training mode between iterations.
        image: one image ``(C, *img_size)``.
        window: side of the windows in tokens, the same along each axis; None for a quarter of the shortest axis.
        stride: step between windows, None for half a window; the last window of an axis always ends at its border.

    Returns:
        ``(num_classes, *grid)``: for each token the mean fall of the logit over the windows that cover it; positive
        where the token speaks for the class.

    Raises:
        UserError: if a window does not leave at least one token on an axis.
    """
    grid = network.encoder.grid
    window = -(-min(grid) // 4) if window is None else window
    stride = max(1, window // 2) if stride is None else stride
    if not 1 <= window < min(grid):
        raise UserError(f"no occlusion window of {window} tokens in a grid of {grid}: choose 1 to {min(grid) - 1}")
    windows = token_windows(grid, window, stride).to(image.device)
    tokens = torch.arange(windows.shape[1], device=image.device)
    visible = torch.stack([tokens[~covered] for covered in windows])
    with eval_mode(network):
        whole = network(image[None])
        falls = torch.cat([whole - network(image[None], index[None]) for index in visible])
    weights = windows.float()
    return (falls.T @ weights / weights.sum(dim=0)).reshape(-1, *grid)


def token_windows(grid: Sequence[int], window: int, stride: int) -> Tensor:
    """Bool ``(W, N)``: which tokens each window covers."""
    starts = [sorted({*range(0, side - window, stride), side - window}) for side in grid]
    rows = []
    for corner in itertools.product(*starts):
        row = torch.zeros(*grid, dtype=torch.bool)
        row[tuple(slice(start, start + window) for start in corner)] = True
        rows.append(row.flatten())
    return torch.stack(rows)
