"""From the values a DICOM radiograph stores to the brightness a viewer shows (DICOM PS3.3 C.11.1 and C.11.2)."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset
from pydicom.pixels import apply_modality_lut, apply_windowing

__all__ = ["dicom_brightness"]

LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's mode "L"
BEYOND_ANY_WINDOW = 1e12


def dicom_brightness(dataset: Dataset) -> np.ndarray:
    """Return the displayed brightness of a one-frame radiograph.

    Grey images pass the modality LUT, then the first VOI LUT or else the first window. The result is divided by the
    range which that step *can* put out, so a film keeps its brightness whatever it shows. Only a film with neither is
    stretched from its own minimum to its own maximum. MONOCHROME1 is inverted last: air is dark.

    Args:
        dataset: with decodable pixel data, MONOCHROME1, MONOCHROME2 or a colour space that pydicom turns into RGB.

    Returns:
        float64 (rows, columns) in [0, 1].

    Raises:
        ValueError: for other photometric interpretations, and for a window or LUT that the standard forbids.
    """
    stored = dataset.pixel_array
    if stored.ndim == 3:
        return stored @ LUMINANCE / (2**dataset.BitsStored - 1)
    if dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError(f"photometric interpretation {dataset.PhotometricInterpretation} is not a radiograph's")
    brightness = apply_voi(apply_modality(stored, dataset), dataset)
    return 1 - brightness if dataset.PhotometricInterpretation == "MONOCHROME1" else brightness


def apply_modality(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Return what the modality LUT, or else slope and intercept, make of the stored values."""
    if dataset.get("ModalityLUTSequence"):
        return look_up(stored, dataset.ModalityLUTSequence[0], dataset)[0]
    return apply_modality_lut(stored, dataset)


def apply_voi(values: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Return ``values`` in [0, 1] after the VOI LUT, else the window, else stretched from minimum to maximum."""
    if dataset.get("VOILUTSequence"):
        output, top = look_up(values, dataset.VOILUTSequence[0], dataset)
        return output / top
    if None not in (dataset.get("WindowCenter"), dataset.get("WindowWidth")):
        with np.errstate(over="ignore"):
            low, high = apply_windowing(np.array([-BEYOND_ANY_WINDOW, BEYOND_ANY_WINDOW]), dataset)
            output = apply_windowing(values, dataset)
        return np.clip((output - low) / (high - low), 0, 1)
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low or 1)


def look_up(values: np.ndarray, item: Dataset, dataset: Dataset) -> tuple[np.ndarray, int]:
    """Return ``values`` sent through the lookup table of ``item``, and the largest output its bit depth allows.

    Not pydicom's ``apply_voi``: that one indexes in the output's type, and wraps 12-bit values in an 8-bit table.
    """
    entries, first, bits = item.LUTDescriptor
    table = item.LUTData
    if isinstance(table, bytes):
        words = "<u2" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">u2"
        table = np.frombuffer(table, "u1" if len(table) == entries else words)
    index = np.rint(values).astype(np.int64) - first
    return np.asarray(table)[index.clip(0, len(table) - 1)].astype(np.float64), 2**bits - 1
