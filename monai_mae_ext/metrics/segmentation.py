"""How good is a segmentation: Dice, and the 95th percentile of the Hausdorff distance in millimetres."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.metrics import CumulativeIterationMetric, compute_hausdorff_distance
from torch import Tensor

__all__ = ["MeanDice", "dice_score", "hausdorff95"]


def dice_score(segmentation: Tensor, truth: Tensor) -> Tensor:
    """Dice of two masks of the same shape; NaN where neither has any voxel."""
    return 2 * (segmentation & truth).sum().double() / (segmentation.sum() + truth.sum())


def hausdorff95(segmentation: Tensor, truth: Tensor, spacing: Sequence[float]) -> Tensor:
    """Distance between the surfaces of two masks ``(*S)``, its 95th percentile, in the unit of ``spacing``.

    NaN where either has no voxel: there is no distance to what is missing. Masks are looked at in their own box, so
    that large volumes stay cheap.
    """
    if not (segmentation.any() and truth.any()):
        return torch.tensor(torch.nan, dtype=torch.double)
    places = (segmentation | truth).nonzero()
    low, high = places.amin(0), places.amax(0) + 1
    box = tuple(slice(*side) for side in zip(low.tolist(), high.tolist(), strict=True))
    ours, theirs = (mask[box][None, None].cpu() for mask in (segmentation, truth))
    return compute_hausdorff_distance(ours, theirs, True, percentile=95, spacing=list(spacing))[0, 0].double()


class MeanDice(CumulativeIterationMetric):
    """Mean over the classes (background apart) of the mean Dice over the volumes that have the class or predict it.

    Call it with logits ``(B, num_classes, *S)`` and labels ``(B, 1, *S)``, which may lie on another device.
    """

    def _compute_tensor(self, y_pred: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        labels, truth = y_pred.argmax(dim=1), y[:, 0].to(y_pred.device)
        classes = range(1, y_pred.shape[1])
        return torch.stack(
            [
                torch.stack([dice_score(ours == number, theirs == number) for number in classes])
                for ours, theirs in zip(labels, truth, strict=True)
            ]
        )

    def aggregate(self) -> float:
        return self.get_buffer().nanmean(dim=0).nanmean().item()
