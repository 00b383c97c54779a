"""Back to the scan: class scores on the network's grid become labels on the scan's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms import SpatialResample
from torch import Tensor

__all__ = ["labels_on_grid", "scores_on_grid"]


def labels_on_grid(scores: Tensor, affine: Tensor, target_affine: Tensor, target_size: Sequence[int]) -> Tensor:
    """Resample class scores linearly to another grid and take the best class of each voxel.

    The affines alone say where voxels lie: orientation, spacing, cropping and padding are all undone at once, also of
    oblique scans. One class is in memory at a time. Voxels outside the scores are background.

    Args:
        scores: ``(C, *S)``, probabilities; class 0 is the background, which wins ties.
        affine: ``(4, 4)``, from voxels of ``scores`` to millimetres.
        target_affine, target_size: of the grid to label.

    Returns:
        ``(*target_size)``, uint8.
    """
    best, labels = None, torch.zeros(*target_size, dtype=torch.uint8, device=scores.device)
    for number, moved in enumerate(resampled(scores, affine, target_affine, target_size)):
        if best is None:
            best = moved
        else:
            labels[moved > best] = number
            best = torch.maximum(best, moved)
    return labels


def scores_on_grid(scores: Tensor, affine: Tensor, target_affine: Tensor, target_size: Sequence[int]) -> Tensor:
    """Resample scores ``(C, *S)`` linearly to another grid: ``(C, *target_size)``, 0 outside; arguments as above."""
    return torch.stack(list(resampled(scores, affine, target_affine, target_size)))


def resampled(scores: Tensor, affine: Tensor, target_affine: Tensor, target_size: Sequence[int]) -> Iterator[Tensor]:
    """Yield each channel on the other grid, ``(*target_size)``."""
    resample = SpatialResample(mode="bilinear", padding_mode="zeros")
    for score in scores.as_subclass(Tensor):
        moved = resample(MetaTensor(score[None].float(), affine), target_affine, list(target_size))
        yield moved.as_subclass(Tensor)[0]
