"""Labels of a series as a DICOM segmentation object."""

from __future__ import annotations

import os
from collections.abc import Sequence

import highdicom
import numpy as np
from highdicom import PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence
from highdicom.seg import Segmentation, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom import Dataset

from monai_mae_ext.dicom.algorithm import Algorithm
from monai_mae_ext.dicom.codes import term_of
from monai_mae_ext.dicom.elements import discreet
from monai_mae_ext.dicom.geometry import LPS_TO_RAS
from monai_mae_ext.dicom.source import source_headers
from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write

__all__ = ["save_segmentation"]

SERIES_NUMBER = 900
RAS_TO_LPS = LPS_TO_RAS[:3, :3]


def save_segmentation(
    path: str | os.PathLike,
    labels: np.ndarray,
    affine: np.ndarray,
    names: Sequence[str],
    headers: Sequence[Dataset],
    algorithm: Algorithm,
) -> None:
    """Write labels as a DICOM SEG of binary segments that refers to the series it was made from.

    Segments carry the numbers of the labels, their names and coded terms; a label that no voxel has is described and
    has no frames.

    Args:
        path: of the file.
        labels: ``(columns, rows, slices)`` integers of the series' own grid; 0 is background.
        affine: ``(4, 4)`` from voxel indices to RAS+ mm, as ``read_series`` gives it.
        names: of the labels, the background first.
        headers: of the slices, as ``read_series`` gives them.
        algorithm: that made the labels.

    Raises:
        UserError: if a voxel has a label without a name, or several multi-frame files hold the series.
    """
    sources = source_headers(headers)
    if len(sources) > 1 and any("NumberOfFrames" in source for source in sources):
        raise UserError(
            f"{len(sources)} multi-frame files hold the series, a segmentation can refer to one: export it as one"
        )
    if labels.max() >= len(names):
        raise UserError(f"label {labels.max()} has no name: the names are {', '.join(names[1:])}")
    columns, rows = np.linalg.norm(affine[:3, :2], axis=0).tolist()
    between = abs(np.linalg.det(affine[:3, :3])) / (columns * rows)
    origins = affine[:3, 3] + np.arange(labels.shape[2])[:, None] * affine[:3, 2]
    along = RAS_TO_LPS @ (affine[:3, :2] / (columns, rows))
    for source in sources:
        source.SliceThickness = source.get("SliceThickness") or between
        source.ImageOrientationPatient = sources[0].get("ImageOrientationPatient")
    with discreet():
        segmentation = Segmentation(
            source_images=sources,
            pixel_array=labels.T.astype(np.uint8),
            segmentation_type="BINARY",
            segment_descriptions=[describe(number, name, algorithm) for number, name in enumerate(names) if number],
            series_instance_uid=highdicom.UID(),
            series_number=SERIES_NUMBER,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            pixel_measures=PixelMeasuresSequence((rows, columns), sources[0].SliceThickness, between),
            plane_orientation=PlaneOrientationSequence("PATIENT", along.T.ravel().tolist()),
            plane_positions=[PlanePositionSequence("PATIENT", (RAS_TO_LPS @ origin).tolist()) for origin in origins],
            series_description=f"Segmentation by {algorithm.name}"[:64],
            content_label="SEGMENTATION",
            **algorithm.equipment,
        )
    with atomic_write(path) as temporary:
        segmentation.save_as(temporary)


def describe(number: int, name: str, algorithm: Algorithm) -> SegmentDescription:
    """One segment: its name as the users know it, and what it is in coded terms."""
    term = term_of(name)
    description = SegmentDescription(
        number, name, term.category, term.kind, algorithm.kind, algorithm.identification(), tracking_id=name,
        tracking_uid=highdicom.UID(),
    )  # fmt: skip
    if term.side is not None:
        side = CodedConcept.from_code(term.side)
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [side]
    return description
