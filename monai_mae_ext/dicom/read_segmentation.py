"""Labels out of a DICOM segmentation, on the grid of the series that it marks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pydicom
from pydicom import Dataset

from monai_mae_ext.dicom.elements import discreet, text
from monai_mae_ext.dicom.geometry import LPS_TO_RAS
from monai_mae_ext.errors import UserError

__all__ = ["is_automatic", "read_segmentation"]

NEAR = 0.1
"""Voxels by which a frame may miss the grid of the series anywhere."""


def is_automatic(segmentation: Dataset) -> bool:
    """Whether no person had a hand in any of its segments."""
    return all(text(segment, "SegmentAlgorithmType") == "AUTOMATIC" for segment in segmentation.SegmentSequence)


def read_segmentation(
    path: str | os.PathLike, affine: np.ndarray, shape: Sequence[int], values: Mapping[str, int] | None = None
) -> np.ndarray:
    """Labels ``(columns, rows, slices)``, uint8, on the grid of the series.

    Slices without a frame are background. Where segments overlap, the later one is on top.

    Args:
        path: of the segmentation.
        affine: ``(4, 4)`` from voxel indices to RAS+ mm of the series that it marks, as ``read_series`` gives it.
        shape: of the series, (columns, rows, slices).
        values: label of each segment by its name in lower case; others keep their number.

    Raises:
        UserError: if it is no segmentation, or its frames do not lie on the grid of the series.
    """
    with discreet():
        segmentation = pydicom.dcmread(path)
        if "SegmentSequence" not in segmentation:
            raise UserError("the file is no DICOM segmentation: export one")
        numbers = {
            int(segment.SegmentNumber): (values or {}).get(text(segment, "SegmentLabel").lower(), segment.SegmentNumber)
            for segment in segmentation.SegmentSequence
        }
        labels = np.zeros(shape, np.uint8)
        for mask, groups in frames_of(segmentation):
            label, place = labels[:, :, slice_of(groups, affine, shape)], mask.T
            if place.shape != label.shape:
                raise UserError(f"the segmentation has frames of {place.shape}, the series slices of {label.shape}")
            for number in np.unique(place[place > 0]).tolist():
                label[place == number] = numbers[number]
    return labels


def frames_of(segmentation: Dataset) -> Iterator[tuple[np.ndarray, list[Dataset]]]:
    """Yield each frame as segment numbers ``(rows, columns)``, and its functional groups with those of all frames."""
    pixels = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    shared = list(segmentation.get("SharedFunctionalGroupsSequence", []))
    threshold = segmentation.get("MaximumFractionalValue", 1) / 2
    for frame, own in zip(pixels, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        groups = [own, *shared]
        if segmentation.SegmentationType == "LABELMAP":
            yield frame, groups
        else:
            marked = find(groups, "SegmentIdentificationSequence")
            yield (frame > threshold) * int(marked.ReferencedSegmentNumber), groups


def find(groups: list[Dataset], keyword: str) -> Dataset:
    """The item of a macro, in a frame's groups or in those of all frames."""
    for group in groups:
        if keyword in group:
            return group[keyword].value[0]
    raise UserError(f"a frame of the segmentation has no {keyword}: export it again")


def slice_of(groups: list[Dataset], affine: np.ndarray, shape: Sequence[int]) -> int:
    """Which slice of the series a frame lies on.

    Raises:
        UserError: if it is none, or the frame's axes are other ones.
    """
    position = np.array([*find(groups, "PlanePositionSequence").ImagePositionPatient, 1], float)
    axes = np.array(find(groups, "PlaneOrientationSequence").ImageOrientationPatient, float).reshape(2, 3)
    rows, columns = map(float, find(groups, "PixelMeasuresSequence").PixelSpacing)
    per_voxel = LPS_TO_RAS[:3, :3] @ axes.T * [columns, rows] - affine[:3, :2]
    index = (np.linalg.inv(affine) @ LPS_TO_RAS @ position)[:3]
    number = round(index[2])
    off = np.abs(index - [0, 0, number]).max()
    spread = np.abs(per_voxel).max() * max(shape[:2]) / min(rows, columns)
    if max(off, spread) > NEAR or not 0 <= number < shape[2]:
        raise UserError("the segmentation does not lie on the slices of its series: export it on the series' own grid")
    return number
