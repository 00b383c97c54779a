"""From a segmenter's scores to labels on the scan's own grid."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from ignite.engine import Events
from monai.data.meta_tensor import MetaTensor
from monai.engines import Workflow
from torch import Tensor

from monai_mae_ext.transforms.regions import Regions, clean_regions, labels_of_regions
from monai_mae_ext.transforms.scan_grid import labels_on_grid, scores_on_grid

__all__ = ["ScanLabels", "ScanRegions"]


class ScanLabels:
    """Put the best class of each voxel into the evaluator's output. Attach it before the others here.

    ``labels (*S)``, uint8, are on the scan's own grid, ``shown (*S)`` on the network's. Batches are one volume; its
    ``image`` must come from ``LoadImaged`` and keep its affine up to date, as MONAI's transforms do.
    """

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        image, output = engine.state.batch["image"][0], engine.state.output
        probabilities = output["pred"][0].as_subclass(Tensor).float().softmax(0)
        output["labels"] = labels_on_grid(probabilities, image.affine, *scan_grid(image)).cpu()
        output["shown"] = probabilities.argmax(0).cpu()


class ScanRegions:
    """``ScanLabels`` for a network that scores regions which may overlap, each for itself.

    A voxel belongs to a region whose probability there, resampled to the scan, is above a half. Regions are then
    cleaned, and painted as labels, small ones over large ones. ``probabilities (R, *S)`` of the scan's own grid are in
    the output too.

    Args:
        regions: of the network's outputs, in their order.
        min_part_ml, min_ml: as in ``clean_regions``.
    """

    def __init__(self, regions: Regions, min_part_ml: float = 0.0, min_ml: Mapping[str, float] | None = None) -> None:
        self.regions, self.min_part_ml, self.min_ml = regions, min_part_ml, min_ml

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        image, output = engine.state.batch["image"][0], engine.state.output
        probabilities = output["pred"][0].as_subclass(Tensor).float().sigmoid()
        affine, size = scan_grid(image)
        moved = scores_on_grid(probabilities, image.affine, affine, size).cpu()
        voxel_ml = abs(torch.linalg.det(affine[:3, :3].double()).item()) / 1000
        masks = clean_regions(moved > 0.5, self.regions, voxel_ml, self.min_part_ml, self.min_ml)
        output["probabilities"] = moved
        output["labels"] = labels_of_regions(masks, self.regions)
        output["shown"] = labels_of_regions(probabilities > 0.5, self.regions).cpu()


def scan_grid(image: MetaTensor) -> tuple[Tensor, list[int]]:
    """Affine of the scan as it was read, and its voxels along each axis."""
    affine = torch.as_tensor(image.meta["original_affine"])
    return affine, [int(side) for side in image.meta["spatial_shape"]][: len(affine) - 1]
