"""Pixels that no measurement stands behind, such as those outside the round field of view of a CT."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monai_mae_ext.dicom.elements import integer
from monai_mae_ext.dicom.frames import Frame
from monai_mae_ext.dicom.pixels import rescale_of

__all__ = ["settle_padding"]


def settle_padding(values: np.ndarray, frames: Sequence[Frame]) -> list[str]:
    """Darken, in place, padding that is brighter than all that was measured; return notes.

    Padding is usually darker than air, and is left as it is stored, as dcm2niix and GDCM leave it: windows clip it. But
    a large unsigned PixelPaddingValue becomes a bright frame around the body, so such pixels get the lowest measured
    value. Padding among the measured values cannot be told from these, and is left too.

    Args:
        values: (columns, rows, slices) measured values.
        frames: of the slices.
    """
    ranges = [padding_of(frame) for frame in frames]
    if not any(ranges):
        return []
    lowest, highest, padded = measured_range(values, ranges)
    if padded == 0 or padded == values.size:
        return []
    bright = [k for k, padding in enumerate(ranges) if padding and padding[0] > highest]
    for k in bright:
        values[:, :, k][inside(values[:, :, k], ranges[k])] = lowest
    share = f"padding, {padded / values.size:.1%} of the voxels"
    if bright:
        return [f"{share}, was brighter than all measured values: set to the lowest of these, {lowest:g}"]
    return [f"{share}, left as stored"]


def padding_of(frame: Frame) -> tuple[float, float] | None:
    """Return the lowest and highest measured value that mark padding in an image, or None."""
    header = frame.header
    first = integer(header, "PixelPaddingValue")
    if first is None:
        return None
    limit = integer(header, "PixelPaddingRangeLimit")
    slope, intercept = rescale_of(frame)
    low, high = sorted(
        float(np.float32(as_stored(frame, end) * slope + intercept))
        for end in (first, first if limit is None else limit)
    )
    return low, high


def as_stored(frame: Frame, value: int) -> int:
    """Return a padding value as its pixels are read: many files declare 63536 where they store -2000."""
    bits = integer(frame.header, "BitsAllocated") or 16
    value %= 2**bits
    return value - 2**bits if integer(frame.header, "PixelRepresentation") == 1 and value >= 2 ** (bits - 1) else value


def inside(image: np.ndarray, padding: tuple[float, float] | None) -> np.ndarray:
    """Return which pixels of an image are padding."""
    return np.zeros(image.shape, bool) if padding is None else (image >= padding[0]) & (image <= padding[1])


def measured_range(values: np.ndarray, ranges: Sequence[tuple[float, float] | None]) -> tuple[float, float, int]:
    """Return the lowest and highest value of a volume that is not padding, and the number of voxels that are."""
    lowest, highest, padded = np.inf, -np.inf, 0
    for k, padding in enumerate(ranges):
        image = values[:, :, k]
        real = image[~inside(image, padding)]
        padded += image.size - real.size
        if real.size:
            lowest, highest = min(lowest, float(real.min())), max(highest, float(real.max()))
    return lowest, highest, padded
