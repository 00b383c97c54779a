"""What all images of a volume must have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monai_mae_ext.dicom.elements import text
from monai_mae_ext.dicom.frames import Frame
from monai_mae_ext.dicom.geometry import Placed, measure_angle
from monai_mae_ext.errors import UserError

__all__ = ["check_alike", "check_grey"]

PARALLEL = 0.1
"""Degrees between the axes of two images up to which they are parallel: orientations are stored rounded."""
SAME_SPACING = 1e-3


def check_grey(frames: Sequence[Frame]) -> None:
    """Raise a ``UserError`` for an image in colour or of several samples a pixel."""
    for frame in frames:
        kind = text(frame.header, "PhotometricInterpretation")
        samples = text(frame.header, "SamplesPerPixel") or "1"
        if not kind.startswith("MONOCHROME") or samples != "1":
            raise UserError(
                f"has pixels of {samples} samples, {kind or 'of no PhotometricInterpretation'}, in {frame}: "
                "give the grey images that the scanner measured"
            )


def check_alike(images: Sequence[Placed]) -> None:
    """Raise a ``UserError`` unless images have one size, stack, frame of reference, orientation and pixel spacing."""
    frames, planes = [image.frame for image in images], [image.plane for image in images]
    sizes = sorted({f"{text(frame.header, 'Columns')} x {text(frame.header, 'Rows')}" for frame in frames})
    if len(sizes) > 1:
        raise UserError(f"has images of {len(sizes)} sizes ({', '.join(sizes)}): split it, and give one size")
    for keyword in ("StackID", "FrameOfReferenceUID"):
        count = len({text(frame.header, keyword) for frame in frames})
        if count > 1:
            raise UserError(f"has images with {count} different {keyword}s, which are no one stack: split it by that")
    angle = max(measure_angle(*axes) for plane in planes for axes in zip(plane.axes, planes[0].axes, strict=True))
    if angle > PARALLEL:
        raise UserError(
            f"has images at angles of up to {angle:.1f} degrees to each other, as localizers and radial views have: "
            "split it, and give parallel slices"
        )
    spacings = np.array([plane.spacing for plane in planes])
    if np.ptp(spacings, axis=0).max() > SAME_SPACING * spacings.min():
        low, high = spacings.min(), spacings.max()
        raise UserError(f"has images with a PixelSpacing of {low:g} to {high:g} mm: split it, and give one spacing")
