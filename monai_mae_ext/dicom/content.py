"""What a file is, judged by its content: an image to work on, another DICOM object, or neither."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom import Dataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

from monai_mae_ext.dicom.elements import integer, text

__all__ = ["BROKEN", "Content", "look_at"]

FILMS = {ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation}
SLICES = {
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MRImageStorage,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    PositronEmissionTomographyImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
}
"""The classes of images that are taken. All else (secondary captures, SEG, SR, RTSTRUCT, dose, presentation states...)
was made from such, or for something else."""

LOOKED_AT = ["SOPClassUID", "SeriesInstanceUID", "StudyInstanceUID", "SeriesNumber", "Modality", "ImageType"]
SHUT, DAMAGED, CUT = "cannot be opened", "damaged", "truncated, or without pixels"
BROKEN = (SHUT, DAMAGED, CUT)
"""Why a file is not taken that may have been meant to be."""
UNKNOWN = "object of an unknown class"
PREAMBLE, MAGIC = 128, b"DICM"
FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
PIXEL_DATA, SEQUENCE_END, UNDEFINED = (0x7FE0, 0x0010), (0xFFFE, 0xE0DD), 0xFFFFFFFF


@dataclass(frozen=True)
class Content:
    """What a DICOM file says of itself; ``unfit`` is why it is not taken, or "" if it is a slice or a film."""

    path: Path
    unfit: str
    uid: str = ""
    number: int | None = None
    modality: str = ""
    study_uid: str = ""


def look_at(path: Path) -> Content | None:
    """Return what a file says of itself, or None for a DICOMDIR and for what is not DICOM.

    A file without the preamble counts as DICOM if it starts as one and tells its SOP class: old archives write such.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(PREAMBLE + len(MAGIC))
            has_magic = head[PREAMBLE:] == MAGIC
            if not (has_magic or head.startswith(FIRST_GROUPS)):
                return None
            return content_of(path, file, has_magic)
    except OSError:
        return Content(path, SHUT)


def content_of(path: Path, file: BinaryIO, has_magic: bool) -> Content | None:
    """Return what an open file says of itself, which ``has_magic`` if it is DICOM beyond doubt."""
    file.seek(0)
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=LOOKED_AT)
        # Of a file that was inflated as a whole, nothing is missing, and the position says nothing.
        inflated = header.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian
        whole = inflated or has_whole_pixels(file, header)
    except OSError:
        raise
    except Exception:  # pydicom raises what it comes across first
        return Content(path, DAMAGED) if has_magic else None
    object_class = UID(text(header, "SOPClassUID") or text(header.file_meta, "MediaStorageSOPClassUID"))
    if object_class == MediaStorageDirectoryStorage or not (object_class or has_magic):
        return None
    uid = text(header, "SeriesInstanceUID")
    number, modality = integer(header, "SeriesNumber"), text(header, "Modality")
    return Content(
        path, why_unfit(header, object_class, whole), uid, number, modality, text(header, "StudyInstanceUID")
    )


def why_unfit(header: Dataset, object_class: UID, whole: bool) -> str:
    """Return why an object is not taken, in words, or ""."""
    if object_class not in SLICES | FILMS:
        return object_class.name if object_class and object_class.is_valid else UNKNOWN
    if not whole:
        return CUT
    if "LOCALIZER" in text(header, "ImageType").split("\\"):
        return "localizer"
    return "" if text(header, "SeriesInstanceUID") else "image without a SeriesInstanceUID"


def has_whole_pixels(file: BinaryIO, header: Dataset) -> bool:
    """Return whether the pixel data at which ``file`` stands is all there: headers are read without it, so that a
    truncated file would otherwise be found only after minutes of decoding, or never where its slice is the last."""
    implicit, little = header.original_encoding
    order = "<" if little else ">"
    start = file.read(8 if implicit else 12)
    if len(start) < 8 or struct.unpack(f"{order}HH", start[:4]) != PIXEL_DATA:
        return False
    (length,) = struct.unpack(f"{order}L", start[-4:])
    if length != UNDEFINED:
        return file.tell() + length <= os.fstat(file.fileno()).st_size
    while len(item := file.read(8)) == 8:  # fragments, each with its tag and length
        *tag, length = struct.unpack(f"{order}HHL", item)
        if tuple(tag) == SEQUENCE_END:
            return True
        file.seek(length, os.SEEK_CUR)
    return False
