"""How scanners lay volumes down: in several orientations, and now and then obliquely."""

from __future__ import annotations

from collections.abc import Sequence

import nibabel as nib
import numpy as np
from scipy.spatial.transform import Rotation

__all__ = ["as_stored"]

ORIENTATIONS = ("RAS", "LPS", "LAS", "RPI", "PSR")
TILT_DEGREES = 5.0


def as_stored(
    volumes: Sequence[np.ndarray], affine: np.ndarray, number: int, rng: np.random.Generator
) -> list[nib.Nifti1Image]:
    """NIfTI images of volumes that share a grid, their axes flipped and permuted.

    Args:
        volumes: ``(X, Y, Z)``, or with channels last, in RAS.
        affine: from their voxels to millimetres.
        number: of the patient, from 0; orientations take turns, and every fourth lies obliquely.
        rng: draws how obliquely.
    """
    tilt = np.eye(4)
    if number % 4 == 3:
        tilt[:3, :3] = Rotation.from_euler("xyz", rng.uniform(-TILT_DEGREES, TILT_DEGREES, 3), degrees=True).as_matrix()
    orientation = ORIENTATIONS[number % len(ORIENTATIONS)]
    ras, wanted = (nib.orientations.axcodes2ornt(codes) for codes in ("RAS", orientation))
    turn = nib.orientations.ornt_transform(ras, wanted)
    return [nib.Nifti1Image(values, tilt @ affine).as_reoriented(turn) for values in volumes]
