"""Where images lie: their planes, whether these stack into a volume, and the affine of that volume.

Positions and directions are DICOM's, LPS+ (towards left, posterior and head) in mm; affines are NIfTI's, RAS+ in mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from monai_mae_ext.dicom.elements import numbers
from monai_mae_ext.dicom.frames import Frame
from monai_mae_ext.errors import UserError

__all__ = ["LPS_TO_RAS", "Placed", "Plane", "is_sheared", "measure_angle", "place", "stack"]

ORTHONORMAL = 1e-3
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Its own inverse."""
UNEVEN, ROUNDING = 0.1, 0.01
"""How far a slice may lie off an even grid, as a share of the slice spacing: more than the first is refused, more than
the second, which rounded positions explain, is noted."""
STRAIGHT, TILTED = 0.1, 45.0
"""Degrees of shear up to which nothing is noted, since positions are rounded, and up to which a gantry could tilt."""
SHOWN = 5


@dataclass(frozen=True, eq=False)
class Plane:
    """The plane of an image.

    Attributes:
        position: (3,) centre of the first pixel, mm.
        axes: (2, 3) unit vectors along which columns and rows are counted.
        spacing: (2,) distance of neighbouring columns and of neighbouring rows, mm.
    """

    position: np.ndarray
    axes: np.ndarray
    spacing: np.ndarray

    @property
    def normal(self) -> np.ndarray:
        """The unit vector (3,) at right angles to the plane."""
        normal = np.cross(*self.axes)
        return normal / np.linalg.norm(normal)


class Placed(NamedTuple):
    """An image, its plane, and how deep that lies along the normal of the series' first image, mm."""

    frame: Frame
    plane: Plane
    depth: float


def place(frames: Sequence[Frame]) -> list[Placed]:
    """Return images with their planes, in the order they came.

    Raises:
        UserError: as ``plane_of`` does.
    """
    planes = [plane_of(frame) for frame in frames]
    return [
        Placed(frame, plane, float(plane.position @ planes[0].normal))
        for frame, plane in zip(frames, planes, strict=True)
    ]


def plane_of(frame: Frame) -> Plane:
    """Return the plane of an image.

    Raises:
        UserError: for missing or malformed positions, orientations and pixel spacings.
    """
    axes = frame.numbers("ImageOrientationPatient", 6).reshape(2, 3)
    rows, columns = frame.numbers("PixelSpacing", 2)
    error = np.abs(axes @ axes.T - np.eye(2)).max()
    if error > ORTHONORMAL:
        raise UserError(
            f"has an ImageOrientationPatient in {frame} whose vectors are no unit vectors at right angles (off by "
            f"{error:.2g}): export the scanner's own images"
        )
    if min(rows, columns) <= 0:
        raise UserError(f"has a PixelSpacing of {rows:g} by {columns:g} mm in {frame}: export the scanner's own images")
    return Plane(frame.numbers("ImagePositionPatient", 3), axes, np.array([columns, rows]))


def stack(images: Sequence[Placed]) -> tuple[np.ndarray, list[str]]:
    """Return the affine, float64 (4, 4), of parallel images sorted by depth, no two of one depth, and notes.

    The step between slices is that from the first to the last position, divided evenly. It need not be along the
    normal: the slices of a CT with tilted gantry are shifted against each other, and so is the affine sheared.

    Raises:
        UserError: for missing slices, and for positions that are not those of an even grid.
    """
    plane = images[0].plane
    positions = np.array([image.plane.position for image in images])
    if len(images) == 1:
        step, notes = single_step(images[0])
    else:
        check_gaps(np.array([image.depth for image in images]))
        step = (positions[-1] - positions[0]) / (len(images) - 1)
        notes = [*check_grid(positions, step), *check_shear(step, plane.normal)]
    affine = np.eye(4)
    affine[:3, :2] = (plane.axes * plane.spacing[:, None]).T
    affine[:3, 2], affine[:3, 3] = step, positions[0]
    return LPS_TO_RAS @ affine, notes


def single_step(image: Placed) -> tuple[np.ndarray, list[str]]:
    """Return the step to the slice that would follow a single one, (3,) mm, and a note of where it comes from."""
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        length = numbers(image.frame.header, keyword, 1)
        if length is not None and length[0] > 0:
            return image.plane.normal * length[0], [f"a single slice: its depth of {length[0]:g} mm is its {keyword}"]
    raise UserError(
        "is a single slice, and neither SpacingBetweenSlices nor SliceThickness tells its depth: give whole series"
    )


def check_gaps(depths: np.ndarray) -> None:
    """Raise a ``UserError`` if slices are missing: fewer than there are, in gaps that are multiples of the usual one.

    Args:
        depths: (slices,) positions along the normal, mm, sorted.
    """
    gaps = np.diff(depths)
    usual = float(np.median(gaps[gaps <= np.median(gaps)]))
    multiples = np.round(gaps / usual).astype(int)
    uneven = np.abs(gaps / usual - multiples).max() > UNEVEN
    if uneven or not 0 < (multiples - 1).sum() < len(depths):
        return
    missing = [f"{depths[k] + usual * i:.2f}" for k, multiple in enumerate(multiples) for i in range(1, multiple)]
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    raise UserError(
        f"lacks {len(missing)} slice{'s' if len(missing) > 1 else ''} at {', '.join(missing[:SHOWN])}{more} mm along "
        f"its axis, where slices are {usual:.2f} mm apart: copy the series again, whole"
    )


def check_grid(positions: np.ndarray, step: np.ndarray) -> list[str]:
    """Return a note if ``positions`` (slices, 3), mm, lie a bit off an even grid; raise a ``UserError`` if far off."""
    spacing = float(np.linalg.norm(step))
    grid = positions[0] + np.arange(len(positions))[:, None] * step
    off = np.linalg.norm(positions - grid, axis=1).max()
    gaps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    what = f"slices {gaps.min():.3f} to {gaps.max():.3f} mm apart, up to {off:.3f} mm off an even grid"
    if off > UNEVEN * spacing:
        raise UserError(
            f"has {what}, more than {UNEVEN:.0%} of their mean distance of {spacing:.3f} mm: "
            "give a series reconstructed with even spacing"
        )
    return [f"{what}: put on the even grid of {spacing:.3f} mm"] if off > ROUNDING * spacing else []


def check_shear(step: np.ndarray, normal: np.ndarray) -> list[str]:
    """Return a note if slices are stacked at an angle to their normal; raise a ``UserError`` if no gantry tilts so."""
    angle = measure_angle(step, normal)
    what = f"slices stacked at {angle:.1f} degrees to their normal"
    if angle > TILTED:
        raise UserError(f"has {what}, more than any gantry tilts: give the slices of one scan")
    return [f"{what}: the affine is sheared"] if angle > STRAIGHT else []


def is_sheared(affine: np.ndarray) -> bool:
    """Return whether the axes of a grid, (4, 4), are not at right angles, beyond rounding."""
    pairs = ((0, 1), (0, 2), (1, 2))
    return any(abs(90 - measure_angle(affine[:3, i], affine[:3, j])) > STRAIGHT for i, j in pairs)


def measure_angle(one: np.ndarray, other: np.ndarray) -> float:
    """Return the angle between two vectors (3,), in degrees."""
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(one, other)), one @ other)))
