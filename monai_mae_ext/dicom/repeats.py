"""Several images at one position: copies of a slice, or several volumes in one series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monai_mae_ext.dicom.elements import text
from monai_mae_ext.dicom.geometry import Placed
from monai_mae_ext.dicom.pixels import read_pixels
from monai_mae_ext.errors import UserError

__all__ = ["drop_repeats"]

SAME_PLACE = 0.01
"""Share of the pixel spacing up to which two positions are the same."""
SPLITTERS = (
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "AcquisitionNumber",
    "FrameAcquisitionNumber",
    "EchoNumbers",
    "EchoTime",
    "EffectiveEchoTime",
    "InversionTime",
    "FlipAngle",
    "DiffusionBValue",
    "TriggerTime",
    "NominalCardiacTriggerDelayTime",
    "NominalPercentageOfCardiacPhase",
    "ConvolutionKernel",
    "ImageType",
    "FrameType",
    "ComplexImageComponent",
    "AcquisitionTime",
    "FrameAcquisitionDateTime",
    "ContentTime",
)
"""Elements that tell the volumes of a series apart, the telling ones first."""


def drop_repeats(images: Sequence[Placed]) -> tuple[list[Placed], list[str]]:
    """Return images sorted by depth, without copies, and a note of how many those were.

    Raises:
        UserError: if images at one position, or side by side, differ: then the series is not one volume.
    """
    positions = by_depth(images)
    copies = len(images) - len(positions)
    if copies and not all(are_copies(group) for group in positions if len(group) > 1):
        raise several_volumes(positions)
    plural = "ies" if copies > 1 else "y"
    notes = [f"{copies} cop{plural} of slices, with the same position and pixels, left out"] if copies else []
    return [group[0] for group in positions], notes


def by_depth(images: Sequence[Placed]) -> list[list[Placed]]:
    """Return images sorted by depth, those of the same depth together."""
    same = SAME_PLACE * images[0].plane.spacing.min()
    groups: list[list[Placed]] = []
    for image in sorted(images, key=lambda image: image.depth):
        if groups and image.depth - groups[-1][0].depth <= same:
            groups[-1].append(image)
        else:
            groups.append([image])
    return groups


def are_copies(group: Sequence[Placed]) -> bool:
    """Return whether images of the same depth also have the same position and the same values."""
    same = SAME_PLACE * group[0].plane.spacing.min()
    if any(np.linalg.norm(image.plane.position - group[0].plane.position) > same for image in group):
        return False
    first, *others = read_pixels([image.frame for image in group])
    return all(np.array_equal(first, other) for other in others)


def several_volumes(positions: Sequence[Sequence[Placed]]) -> UserError:
    """Return the error that says how many images each position has, and what tells them apart."""
    most = max(map(len, positions))
    crowded = sum(len(group) > 1 for group in positions)
    splitter = next((keyword for keyword in SPLITTERS if is_splitter(keyword, positions, most)), None)
    cure = (
        f"{splitter} tells them apart: split the series by it, and give one part"
        if splitter
        else "nothing known here tells them apart: give a series of one image a position"
    )
    return UserError(
        f"is more than one volume, with up to {most} different images at {crowded} of {len(positions)} positions "
        f"(phases, echoes, time points or repeats); {cure}"
    )


def is_splitter(keyword: str, positions: Sequence[Sequence[Placed]], most: int) -> bool:
    """Return whether an element differs between the images of each position, and has but as many values as there are
    volumes: a time of acquisition, which differs between all images, parts nothing."""
    values = [[text(image.frame.header, keyword) for image in group] for group in positions]
    distinct = {value for group in values for value in group}
    return len(distinct) == most and all(len(set(group)) == len(group) for group in values)
