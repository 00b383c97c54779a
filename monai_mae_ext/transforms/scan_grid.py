"""Back to the scan: class scores on the network's grid become labels on the scan's own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms import SpatialResample
from torch import Tensor

__all__ = ["labels_on_grid"]


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
    resample = SpatialResample(mode="bilinear", padding_mode="zeros")
    best, labels = None, torch.zeros(*target_size, dtype=torch.uint8, device=scores.device)
    for number, score in enumerate(scores.as_subclass(Tensor)):
        moved = resample(MetaTensor(score[None].float(), affine), target_affine, list(target_size))
        moved = moved.as_subclass(Tensor)[0]
        if best is None:
            best = moved
        else:
            labels[moved > best] = number
            best = torch.maximum(best, moved)
    return labels
