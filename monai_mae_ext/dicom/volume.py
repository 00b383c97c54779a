"""From a series of slices to one volume on a regular grid, and to a NIfTI file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from pydicom import Dataset

from monai_mae_ext.dicom.content import FILMS
from monai_mae_ext.dicom.elements import discreet, text
from monai_mae_ext.dicom.frames import read_frames
from monai_mae_ext.dicom.geometry import is_sheared, place, stack
from monai_mae_ext.dicom.likeness import check_alike, check_grey
from monai_mae_ext.dicom.padding import settle_padding
from monai_mae_ext.dicom.pixels import pixel_notes, read_pixels
from monai_mae_ext.dicom.repeats import drop_repeats
from monai_mae_ext.dicom.series import Series
from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write

__all__ = ["Volume", "read_series", "save_nifti"]

ENDINGS = (".nii", ".nii.gz")


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan on its own grid.

    Attributes:
        values: (columns, rows, slices), int16 or float32; Hounsfield units in CT.
        affine: (4, 4) float64 from voxel indices to RAS+ mm; sheared where the gantry was tilted.
        headers: of each slice, its file's elements without pixels; see ``frames.Frame`` for files of several frames.
            They tell who the patient is.
        notes: what was left out or repaired, in words that do not tell who the patient is.
    """

    values: np.ndarray
    affine: np.ndarray
    headers: tuple[Dataset, ...]
    notes: tuple[str, ...]


def read_series(series: Series) -> Volume:
    """Read the slices of a series, sort them by their position, and stack them.

    Small irregularities are repaired and noted. What would make a wrong volume is refused, with a message that names
    the series, never the patient.

    Raises:
        UserError: for films; for slices that are missing, unevenly spaced, several at a position, of several
            orientations, sizes or stacks, without geometry, in colour, damaged, or compressed as no decoder reads.
    """
    with discreet():
        try:
            return assemble(series)
        except UserError as error:
            raise UserError(f"{series} {error}") from error


def assemble(series: Series) -> Volume:
    """Do what ``read_series`` does; errors do not name the series."""
    frames = read_frames(series)
    if text(frames[0].header, "SOPClassUID") in FILMS:
        raise UserError("holds films, which are no volume: give a CT, MR or PET series")
    check_grey(frames)
    images = place(frames)
    check_alike(images)
    images, copy_notes = drop_repeats(images)
    affine, grid_notes = stack(images)
    frames = [image.frame for image in images]
    values = stack_pixels(read_pixels(frames))
    notes = (*series.notes, *copy_notes, *grid_notes, *pixel_notes(frames), *settle_padding(values, frames))
    return Volume(values, affine, tuple(frame.header for frame in frames), notes)


def stack_pixels(images: Sequence[np.ndarray]) -> np.ndarray:
    """Return images (rows, columns) as one array (columns, rows, slices), float32 if any of them is.

    It lies in memory slice after slice, as files do.
    """
    values = np.empty((len(images), *images[0].shape), np.result_type(*{image.dtype for image in images})).T
    for k, image in enumerate(images):
        values[:, :, k] = image.T
    return values


def save_nifti(volume: Volume, path: str | os.PathLike) -> None:
    """Write a volume as NIfTI, at once or not at all. The file holds nothing of the headers.

    A sheared affine goes into the sform alone, since a qform cannot hold one.

    Raises:
        UserError: for a path that ends neither in .nii nor in .nii.gz.
    """
    if not os.fspath(path).endswith(ENDINGS):
        raise UserError(f"{path} is no name for a NIfTI file: end it in {' or '.join(ENDINGS)}")
    image = nib.nifti1.Nifti1Image(volume.values, None)
    image.header.set_xyzt_units("mm")
    image.set_sform(volume.affine, code="scanner")
    if not is_sheared(volume.affine):
        image.set_qform(volume.affine, code="scanner")
    with atomic_write(path) as temporary:
        nib.save(image, temporary)
