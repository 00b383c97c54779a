"""How good is a segmentation: Dice, and the 95th percentile of the Hausdorff distance in millimetres."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.metrics import CumulativeIterationMetric, compute_hausdorff_distance
from torch import Tensor

__all__ = ["MeanDice", "dice_scores", "hausdorff95"]


def dice_scores(segmentation: Tensor, truth: Tensor, num_classes: int) -> Tensor:
    """Dice of every class but the background, ``(num_classes - 1,)``; NaN where neither has any voxel.

    Args:
        segmentation, truth: label maps of one volume, of the same shape.
        num_classes: the background among them.
    """
    segmentation, truth = segmentation.flatten().long(), truth.flatten().long()
    both, ours, theirs = (
        torch.bincount(labels, minlength=num_classes)[1:num_classes].double()
        for labels in (truth[segmentation == truth], segmentation, truth)
    )
    return 2 * both / (ours + theirs)


def hausdorff95(segmentation: Tensor, truth: Tensor, num_classes: int, spacing: Sequence[float]) -> Tensor:
    """Distance between surfaces, its 95th percentile, in the unit of ``spacing``, of every class but the background.

    NaN where either has no voxel: there is no distance to what is missing, which the Dice of 0 tells. Arguments as in
    ``dice_scores``; each class is looked at in its own box, so that large volumes stay cheap.
    """
    distances = torch.full((num_classes - 1,), torch.nan, dtype=torch.double)
    for label in range(1, num_classes):
        pair = segmentation == label, truth == label
        if pair[0].any() and pair[1].any():
            places = (pair[0] | pair[1]).nonzero()
            low, high = places.amin(0), places.amax(0) + 1
            box = tuple(slice(*side) for side in zip(low.tolist(), high.tolist(), strict=True))
            ours, theirs = (mask[box][None, None].cpu() for mask in pair)
            distance = compute_hausdorff_distance(ours, theirs, True, percentile=95, spacing=list(spacing))
            distances[label - 1] = distance.item()
    return distances


class MeanDice(CumulativeIterationMetric):
    """Mean over the classes (background apart) of the mean Dice over the volumes that have the class or predict it.

    Call it with logits ``(B, num_classes, *S)`` and labels ``(B, 1, *S)``, which may lie on another device.
    """

    def _compute_tensor(self, y_pred: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        labels, truth = y_pred.argmax(dim=1), y[:, 0].to(y_pred.device)
        return torch.stack([dice_scores(*pair, y_pred.shape[1]) for pair in zip(labels, truth, strict=True)])

    def aggregate(self) -> float:
        return self.get_buffer().nanmean(dim=0).nanmean().item()
