"""From the pixels that a file stores to the values that the scanner measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.pixels import get_decoder
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from monai_mae_ext.dicom.elements import one_line, text
from monai_mae_ext.dicom.frames import Frame
from monai_mae_ext.errors import UserError

__all__ = ["pixel_notes", "read_pixels", "rescale_of"]

CODECS = "pip install 'monai-mae-ext[dicom-codecs]'"
LOSSY = {JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless}
INT16 = np.iinfo(np.int16)


def read_pixels(frames: Sequence[Frame]) -> list[np.ndarray]:
    """Return the measured values of images, each (rows, columns), int16 if they are whole and fit, else float32.

    That is what the image's own rescale slope and intercept make of the stored values: Hounsfield units in CT. It is
    the same for MONOCHROME1, which says how values are shown, not what they are.

    Raises:
        UserError: for files that are gone, damaged, or compressed as no installed decoder reads, and for values that
            only a lookup table explains.
    """
    places: dict[Path, list[int]] = {}
    for k, frame in enumerate(frames):
        places.setdefault(frame.path, []).append(k)
    images: list[np.ndarray] = [np.empty(0)] * len(frames)
    for group in places.values():
        for k, stored in zip(group, decode([frames[k] for k in group]), strict=True):
            images[k] = measured(frames[k], stored)
    return images


def decode(frames: Sequence[Frame]) -> Iterator[np.ndarray]:
    """Yield the stored values (rows, columns) of images of the same file."""
    first = frames[0]
    try:
        dataset = pydicom.dcmread(first.path, force=True)
    except Exception as error:  # pydicom raises what it comes across first
        raise UserError(f"cannot read {first} ({type(error).__name__}): copy or export it again") from error
    syntax = transfer_syntax(dataset)
    dataset.file_meta.TransferSyntaxUID = syntax
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise UserError(f"is compressed as {syntax.name}: convert it, e.g. with gdcmconv --raw") from None
    if not decoder.is_available:
        raise UserError(f"is compressed as {syntax.name}, for which no decoder is installed: {CODECS}")
    try:
        for stored, _ in decoder.iter_array(dataset, indices=[frame.index for frame in frames]):
            yield stored
    except Exception as error:  # so do decoders
        cure = f", or {CODECS}" if syntax.is_compressed else ""
        raise UserError(f"cannot decode {first} ({one_line(error)}): copy or export it again{cure}") from error


def transfer_syntax(dataset: Dataset) -> UID:
    """Return how a file is encoded; one without file meta information is uncompressed."""
    if "TransferSyntaxUID" in dataset.file_meta:
        return dataset.file_meta.TransferSyntaxUID
    implicit, little = dataset.original_encoding
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def measured(frame: Frame, stored: np.ndarray) -> np.ndarray:
    """Return what ``stored`` values stand for, int16 if they are whole and fit, else float32."""
    slope, intercept = rescale_of(frame)
    values = stored.astype(np.float64) * slope + intercept
    whole = slope.is_integer() and intercept.is_integer()
    fits = whole and INT16.min <= values.min() and values.max() <= INT16.max
    return values.astype(np.int16 if fits else np.float32)


def rescale_of(frame: Frame) -> tuple[float, float]:
    """Return slope and intercept of an image, 1 and 0 where it has none.

    Raises:
        UserError: for a malformed one, a slope of 0, and a lookup table in their place.
    """
    if "ModalityLUTSequence" in frame.header:
        raise UserError(
            f"has values that go through a lookup table (ModalityLUTSequence) in {frame}: export raw slices"
        )
    slope = float(frame.numbers("RescaleSlope", 1)[0]) if text(frame.header, "RescaleSlope") else 1.0
    intercept = float(frame.numbers("RescaleIntercept", 1)[0]) if text(frame.header, "RescaleIntercept") else 0.0
    if slope == 0:
        raise UserError(f"has a RescaleSlope of 0 in {frame}: export the scanner's own images")
    return slope, intercept


def pixel_notes(frames: Sequence[Frame]) -> list[str]:
    """Return notes of what a user should know of the values: loss, inverted display, no Hounsfield units."""
    notes = []
    lossy = [frame for frame in frames if is_lossy(frame)]
    if lossy:
        notes.append(f"{len(lossy)} of {len(frames)} images were compressed with loss: values are not exact")
    if any(text(frame.header, "PhotometricInterpretation") == "MONOCHROME1" for frame in frames):
        notes.append("MONOCHROME1: meant to be shown inverted, values left as measured")
    if any(text(frame.header, "Modality") == "CT" and not text(frame.header, "RescaleSlope") for frame in frames):
        notes.append("a CT without RescaleSlope: values are taken as Hounsfield units as they are stored")
    return notes


def is_lossy(frame: Frame) -> bool:
    """Return whether an image was ever compressed with loss, by its own word or by its encoding."""
    return (
        text(frame.header, "LossyImageCompression") == "01" or frame.header.file_meta.get("TransferSyntaxUID") in LOSSY
    )
