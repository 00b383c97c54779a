"""Reading radiographs as they are displayed: PNG, JPEG and TIFF through Pillow, DICOM through pydicom."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from monai.config import PathLike
from monai.data import ImageReader, is_supported_format
from monai.utils import ensure_tuple
from PIL import Image, UnidentifiedImageError
from pydicom.misc import is_dicom
from pydicom.pixels import get_decoder

from monai_mae_ext.data.dicom_brightness import dicom_brightness
from monai_mae_ext.data.strips import ReducedFilm, reduce_film
from monai_mae_ext.errors import UserError

__all__ = ["RADIOGRAPH_SUFFIXES", "RadiographError", "RadiographReader", "read_radiograph"]

RADIOGRAPH_SUFFIXES = ("png", "jpg", "jpeg", "tif", "tiff", "dcm")
TIFF_PHOTOMETRIC, TIFF_WHITE_IS_ZERO = 262, 0
AGAIN = "copy or download it again"


class RadiographError(UserError):
    """A film that cannot be used. ``problem`` says in a word why: unreadable, truncated or non-finite."""

    def __init__(self, message: str, problem: str = "unreadable") -> None:
        super().__init__(message)
        self.problem = problem


class RadiographReader(ImageReader):
    """``read_radiograph`` as a reader for MONAI's ``LoadImage(d)``.

    Unlike MONAI's ``PILReader`` it does not swap the axes: an image is (rows, columns). The file is decoded in
    ``get_data``, not in ``read``: what ``read`` raises, ``LoadImage`` would take as "try the next reader".

    Args:
        max_side: see ``read_radiograph``; in a ``LoadImaged``, written beside ``reader``.
    """

    def __init__(self, max_side: int | None = None) -> None:
        super().__init__()
        self.max_side = max_side

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Return whether every file name ends like a radiograph's."""
        return is_supported_format(filename, RADIOGRAPH_SUFFIXES)

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> tuple[PathLike, ...]:
        """Return the file names, unread."""
        return ensure_tuple(data)

    def get_data(self, img: Sequence[PathLike]) -> tuple[np.ndarray, dict]:
        """Decode the one file of ``img``: see ``read_radiograph``."""
        if len(img) != 1:
            raise UserError(f"one file is one radiograph, got {len(img)} starting with {img[0]}: list them one by one")
        return read_radiograph(img[0], self.max_side)


def read_radiograph(path: str | os.PathLike, max_side: int | None = None) -> tuple[np.ndarray, dict]:
    """Read one radiograph as it is displayed, air dark.

    Args:
        path: a PNG, JPEG or TIFF (8 or 16 bit grey, float in [0, 1], or colour, which becomes luminance without its
            alpha), or a one-frame DICOM file of whatever name.
        max_side: the side in pixels that is needed. A film whose shorter side is at least twice as long is averaged
            over boxes, the largest that leave it that long, without ever holding its brightness at full size. None
            reads every film as it is stored.

    Returns:
        The brightness, float32 (H, W) = (rows, columns) in [0, 1], and its metadata: ``spatial_shape`` (H, W),
        ``original_channel_dim``, ``affine`` (4, 4) with the pixel spacing on its diagonal (1 if unknown), ``bits``
        stored a value, and where a DICOM file tells it ``pixel_spacing`` (mm between rows, mm between columns). With
        ``max_side`` also ``stored_shape`` (rows, columns) of the file; all else is of the film as returned, and
        ``affine`` maps its pixels to where the centres of their boxes were. Nothing in it tells of the patient.

    Raises:
        UserError: for a ``max_side`` below 1.
        RadiographError: for a file that is missing, truncated, of another format, without pixels or with several
            frames, compressed in a way that needs another package, or with values that are no brightness.
    """
    if max_side is not None and max_side < 1:
        raise UserError(f"max_side is {max_side}: give the pixels a side needs, or None for films as they are stored")
    path = Path(path)
    try:
        film, facts = read_dicom(path, max_side) if is_dicom(path) else read_picture(path, max_side)
    except UnidentifiedImageError:
        raise RadiographError(f"{path} is not a PNG, JPEG, TIFF or DICOM file: {AGAIN}, or convert it") from None
    except OSError as error:
        raise RadiographError(f"{path} cannot be opened ({error.strerror}): check the path") from error
    low, high = film.lowest, film.highest
    if not np.isfinite([low, high]).all():
        raise RadiographError(f"{path} holds values that are NaN or infinite: export it again", "non-finite")
    if low < 0 or high > 1:
        raise RadiographError(f"{path} is {low:g} to {high:g} as bright as white: save it as 8 or 16 bit grey")
    meta = describe(film, facts)
    return film.brightness, meta if max_side is None else {**meta, "stored_shape": np.asarray(film.stored_shape)}


def describe(film: ReducedFilm, facts: dict[str, Any]) -> dict:
    """Return the metadata of a film from the ``facts`` of its file: one pixel is ``factor`` stored pixels wide."""
    stored_spacing = facts.get("pixel_spacing", np.ones(2))
    affine = np.eye(4)
    affine[[0, 1], [0, 1]] = stored_spacing * film.factor
    affine[:2, 3] = stored_spacing * (film.factor - 1) / 2
    if "pixel_spacing" in facts:
        facts = {**facts, "pixel_spacing": stored_spacing * film.factor}
    shape = np.asarray(film.brightness.shape)
    return {"spatial_shape": shape, "original_channel_dim": "no_channel", "affine": affine, **facts}


def read_picture(path: Path, max_side: int | None) -> tuple[ReducedFilm, dict]:
    """Return brightness and facts of a file that Pillow reads."""
    with Image.open(path) as image:
        try:
            frames = getattr(image, "n_frames", 1)
            image.load()
        except Exception as error:  # each format's plugin raises what it likes
            raise RadiographError(f"{path} is truncated or damaged ({error}): {AGAIN}", "truncated") from error
        if frames > 1:
            raise RadiographError(f"{path} holds {frames} frames: save each as a file of its own")
        bits = 32 if image.mode == "F" else 16 if image.mode.startswith("I") else 8
        inverted = bits == 16 and is_white_zero(image)

        def brightness(rows: slice) -> np.ndarray:
            if bits == 32:
                return stored_values(image, rows)
            grey = stored_values(image, rows).astype(np.float32) / (2**bits - 1)
            return 1 - grey if inverted else grey

        return reduce_film(brightness, (image.height, image.width), max_side), {"bits": bits}


def stored_values(image: Image.Image, rows: slice) -> np.ndarray:
    """Return some rows of a picture as they are stored, of 8-bit colour the luminance."""
    strip = image.crop((0, rows.start, image.width, rows.stop))
    return np.asarray(strip if image.mode.startswith(("F", "I")) else strip.convert("L"))


def is_white_zero(image: Image.Image) -> bool:
    """Return whether a 16-bit TIFF stores white as 0: Pillow inverts such files at 8 bits, but not at 16."""
    return image.format == "TIFF" and image.tag_v2.get(TIFF_PHOTOMETRIC) == TIFF_WHITE_IS_ZERO  # type: ignore


def read_dicom(path: Path, max_side: int | None) -> tuple[ReducedFilm, dict]:
    """Return brightness and facts of a DICOM file."""
    try:
        dataset = pydicom.dcmread(path)
        check_pixels(path, dataset)
        stored = dataset.pixel_array  # decoded apart from its display, to tell damaged pixels from forbidden elements
        del dataset.PixelData  # a large film once is enough
    except RadiographError:
        raise
    except Exception as error:
        raise RadiographError(f"{path} is truncated or damaged ({one_line(error)}): {AGAIN}", "truncated") from error
    try:
        film = reduce_film(dicom_brightness(stored, dataset), stored.shape[:2], max_side)
    except Exception as error:  # whatever a malformed element leads to
        raise RadiographError(f"{path} cannot be displayed ({one_line(error)}): export it again") from error
    facts: dict[str, Any] = {"bits": int(dataset.BitsStored)}
    spacing = dataset.get("PixelSpacing") or dataset.get("ImagerPixelSpacing")
    if spacing:
        facts["pixel_spacing"] = np.asarray(spacing, dtype=np.float64)
    return film, facts


def check_pixels(path: Path, dataset: pydicom.Dataset) -> None:
    """Raise a ``RadiographError`` unless ``dataset`` holds one frame that an installed decoder reads."""
    if "PixelData" not in dataset:
        raise RadiographError(f"{path} holds no pixel data: leave it out if it is a report, else {AGAIN}")
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise RadiographError(f"{path} holds {dataset.NumberOfFrames} frames: save each as a file of its own")
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decodable = get_decoder(syntax).is_available
    except NotImplementedError:
        raise RadiographError(f"{path} is compressed as {syntax.name}: convert it, e.g. with gdcmconv --raw") from None
    if not decodable:
        raise RadiographError(
            f"{path} is compressed as {syntax.name}: for its decoder, pip install 'monai-mae-ext[dicom-codecs]'"
        )


def one_line(error: Exception) -> str:
    """Return the message of ``error`` without line breaks."""
    return " ".join(str(error).split())
