"""Whether a network can take an image, told from the file's header."""

from __future__ import annotations

import os
from pathlib import Path

import itk

from monai_mae_ext.errors import UserError

__all__ = ["check_image"]


def check_image(path: str, spatial_dims: int, channels: int) -> None:
    """Pass for an image that a network of so many axes and channels can take; a folder is a DICOM series, and passes.

    Colours of 2-D images are no channels: ``RadiographReader`` makes them grey.

    Raises:
        UserError: naming the file, and what it is instead.
    """
    if os.path.isdir(path):
        return
    size = image_size(path)
    has = 1 if len(size) <= spatial_dims else size[spatial_dims]
    if len(size) not in (spatial_dims, spatial_dims + 1) or (spatial_dims == 3 and has != channels):
        raise UserError(
            f"{Path(path).name} is an image of {' x '.join(map(str, size))}, the model takes {spatial_dims}-D images "
            f"with {channels} channel{'s' if channels > 1 else ''}{' along a fourth axis' if channels > 1 else ''}: "
            "choose another model or image"
        )


def image_size(path: str) -> list[int]:
    """Length of each axis of an image file, the first one fastest; its data are not read."""
    reader = itk.ImageIOFactory.CreateImageIO(path, itk.CommonEnums.IOFileMode_ReadMode)
    if reader is None:
        raise UserError(f"{Path(path).name} cannot be read as an image: restore a copy of it")
    reader.SetFileName(path)
    reader.ReadImageInformation()
    return [reader.GetDimensions(axis) for axis in range(reader.GetNumberOfDimensions())]
