"""Whole scans through a segmenter, window by window, but not where there is only air."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers import Inferer
from monai.utils import BlendMode, ensure_tuple_rep
from scipy import ndimage
from torch import Tensor, nn

from monai_mae_ext.errors import UserError

__all__ = ["BodyWindowInferer", "body_mask"]

CELL = 4
"""Voxels along the side of the cells in which the body is looked for."""
AIR_LOGIT = 10.0
"""What the background scores where no window was computed; all else scores 0."""


class BodyWindowInferer(Inferer):
    """Segment volumes from overlapping windows, leaving out those that do not touch the body.

    Inside the body the scores are those of all windows: a window that holds a voxel of the body is always computed.
    Outside it the background wins where nothing was computed.

    Args:
        roi_size: the network's image size; one number or one an axis.
        window_batch: windows at once.
        overlap: share of a window that its neighbour sees too, in [0, 1).
        mode: how windows are blended, "gaussian" or "constant".
        threshold: air is at or below it, in the image's units behind the transforms; None to compute all windows.
        mirror_axes: spatial axes along which windows are mirrored as well, the scores of all 2 ** n views averaged.
            Only for networks that were trained with such flips: others take left for right.
        stitch_device: where windows are put together, for example "cpu" for scans whose scores do not fit on the
            network's device; None for the input's.

    Raises:
        UserError: for an overlap or an axis out of range, or when called with a network of fewer than two classes, of
            which none is background.
    """

    def __init__(
        self,
        roi_size: Sequence[int] | int,
        window_batch: int = 4,
        overlap: float = 0.5,
        mode: str = "gaussian",
        threshold: float | None = 0.0,
        mirror_axes: Sequence[int] = (),
        stitch_device: str | torch.device | None = None,
    ) -> None:
        if not 0 <= overlap < 1:
            raise UserError(f"overlap is in [0, 1), not {overlap}")
        if not set(mirror_axes) <= {0, 1, 2} or len(set(mirror_axes)) < len(mirror_axes):
            raise UserError(f"mirror_axes are spatial axes, of 0, 1 and 2, each once, not {list(mirror_axes)}")
        self.roi_size, self.window_batch, self.overlap = roi_size, window_batch, overlap
        self.mode, self.threshold, self.stitch_device = BlendMode(mode), threshold, stitch_device
        self.flips = [
            [axis + 2 for axis in axes]
            for count in range(len(mirror_axes) + 1)
            for axes in itertools.combinations(mirror_axes, count)
        ]

    def __call__(self, inputs: Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> Tensor:  # type: ignore[override]
        """Scores ``(B, num_classes, *S)`` of ``inputs (B, C, *S)``, float32."""
        size = list(inputs.shape[2:])
        roi = list(ensure_tuple_rep(self.roi_size, len(size)))
        margins = [max(0, wanted - side) for wanted, side in zip(roi, size, strict=True)]
        before = [margin // 2 for margin in margins]
        pad = [part for start, margin in zip(before, margins, strict=True) for part in (margin - start, start)]
        scores = self.blend(F.pad(inputs.as_subclass(Tensor), pad[::-1]), roi, network)
        for axis, (start, side) in enumerate(zip(before, size, strict=True), start=2):
            scores = scores.narrow(axis, start, side)
        return scores

    def blend(self, image: Tensor, roi: list[int], network: nn.Module) -> Tensor:
        """Scores of an image that is at least as large as a window, on the stitching device."""
        grid = dense_patch_slices(image.shape[2:], roi, [max(1, int(side * (1 - self.overlap))) for side in roi])
        where: list[tuple[int, Any]] = list(itertools.product(range(len(image)), grid))
        if self.threshold is not None:
            body = body_mask(image, self.threshold)[:, 0].cpu()
            where = [(sample, box) for sample, box in where if body[(sample, *box)].any()]
        device = self.stitch_device or image.device
        weight = compute_importance_map(tuple(roi), self.mode, dtype=torch.float32).to(device)
        total = torch.zeros(len(image), 1, *image.shape[2:], device=device)
        scores = total  # the first window tells how many classes there are
        for start in range(0, len(where), self.window_batch):
            batch = [(sample, slice(None), *box) for sample, box in where[start : start + self.window_batch]]
            found = self.compute(torch.stack([image[place] for place in batch]), network).to(device)
            if start == 0:
                scores = total.repeat(1, found.shape[1], *[1] * len(roi))
            for place, score in zip(batch, found * weight, strict=True):
                scores[place] += score
                total[place] += weight
        if len(where) < len(image) * len(grid):
            if scores.shape[1] == 1:
                raise UserError("a network of one class has no background to put where only air is: set threshold None")
            air = total == 0
            scores[:, :1].masked_fill_(air, AIR_LOGIT)
            total.masked_fill_(air, 1)
        return scores.div_(total)

    def compute(self, windows: Tensor, network: nn.Module) -> Tensor:
        """Scores of windows, averaged over their mirror images."""
        views = (network(windows.flip(axes)).flip(axes) if axes else network(windows) for axes in self.flips)
        return sum(views, start=torch.zeros(())) / len(self.flips)


def body_mask(image: Tensor, threshold: float) -> Tensor:
    """Where the patient is, the air inside him too, with a margin of a few voxels.

    The connected parts above the threshold, but those of less than a tenth of the largest, with holes filled slice by
    slice along each axis (lungs and bowel may be cut by the volume's end), in cells of 4 voxels. Thin things beside the
    patient, such as the table's shell, are left out.

    Args:
        image: ``(B, C, *S)``; the first channel counts.
        threshold: air is at or below it.

    Returns:
        bool ``(B, 1, *S)``, on the image's device. All True for an image in which nothing is found.
    """
    axes = image.ndim - 2
    pool = {2: F.avg_pool2d, 3: F.avg_pool3d}[axes]
    cell = [min(CELL, side) for side in image.shape[2:]]
    filled_cells = pool((image[:, :1] > threshold).float(), cell, ceil_mode=True, count_include_pad=False) > 0.5
    cells = np.stack([body_cells(volume) for volume in filled_cells[:, 0].cpu().numpy()])
    mask = torch.from_numpy(cells)[:, None].to(image.device)
    for axis, side in enumerate(image.shape[2:], start=2):
        mask = mask.repeat_interleave(CELL, dim=axis).narrow(axis, 0, side)
    return mask


def body_cells(above: np.ndarray) -> np.ndarray:
    """The large parts of ``above (*cells)``, filled, and a cell more on all sides."""
    parts, count = ndimage.label(above)
    if not count:
        return np.ones_like(above)
    sizes = np.bincount(parts.ravel())[1:]
    large = np.isin(parts, 1 + np.flatnonzero(sizes >= sizes.max() / 10))
    filled = large.copy()
    for axis in range(above.ndim):
        for place in range(above.shape[axis]):
            slice_ = (slice(None),) * axis + (place,)
            filled[slice_] |= ndimage.binary_fill_holes(large[slice_])
    return ndimage.binary_dilation(filled, np.ones((3,) * above.ndim))
