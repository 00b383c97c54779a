"""From the values a DICOM radiograph stores to the brightness a viewer shows (DICOM PS3.3 C.11.1 and C.11.2)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydicom import Dataset
from pydicom.pixels import apply_modality_lut, apply_windowing

from monai_mae_ext.data.strips import row_strips

__all__ = ["dicom_brightness"]

LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's mode "L"
BEYOND_ANY_WINDOW = 1e12


def dicom_brightness(stored: np.ndarray, dataset: Dataset) -> Callable[[slice], np.ndarray]:
    """Return the function from a slice of rows to their displayed brightness, for a one-frame radiograph.

    Grey images pass the modality LUT, then the first VOI LUT or else the first window. The result is divided by the
    range which that step *can* put out, so a film keeps its brightness whatever it shows. Only a film with neither is
    stretched from its own minimum to its own maximum, those of all rows. MONOCHROME1 is inverted last: air is dark.

    Args:
        stored: the ``pixel_array`` of ``dataset``, (rows, columns), or (rows, columns, 3) in RGB.
        dataset: MONOCHROME1, MONOCHROME2 or a colour space that pydicom turns into RGB; its pixel data is not used.

    Returns:
        A function that returns float64 (rows, columns) in [0, 1], and raises a ``ValueError`` for a window or LUT that
        the standard forbids.

    Raises:
        ValueError: for other photometric interpretations.
    """
    if stored.ndim == 3:
        return lambda rows: stored[rows] @ LUMINANCE / (2**dataset.BitsStored - 1)
    if dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError(f"photometric interpretation {dataset.PhotometricInterpretation} is not a radiograph's")
    apply_voi = choose_voi(stored, dataset)

    def brightness(rows: slice) -> np.ndarray:
        shown = apply_voi(apply_modality(stored[rows], dataset))
        return 1 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown

    return brightness


def apply_modality(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Return what the modality LUT, or else slope and intercept, make of the stored values."""
    if dataset.get("ModalityLUTSequence"):
        return look_up(stored, dataset.ModalityLUTSequence[0], dataset)[0]
    return apply_modality_lut(stored, dataset)


def choose_voi(stored: np.ndarray, dataset: Dataset) -> Callable[[np.ndarray], np.ndarray]:
    """Return what maps values to [0, 1]: the VOI LUT, else the window, else the stretch from minimum to maximum."""
    if dataset.get("VOILUTSequence"):
        return lambda values: np.divide(*look_up(values, dataset.VOILUTSequence[0], dataset))
    if None not in (dataset.get("WindowCenter"), dataset.get("WindowWidth")):
        return lambda values: apply_window(values, dataset)
    low, high = value_range(stored, dataset)
    return lambda values: (values - low) / (high - low or 1)


def apply_window(values: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Return ``values`` after the first window, divided by the range it can put out."""
    with np.errstate(over="ignore"):
        low, high = apply_windowing(np.array([-BEYOND_ANY_WINDOW, BEYOND_ANY_WINDOW]), dataset)
        output = apply_windowing(values, dataset)
    return np.clip((output - low) / (high - low), 0, 1)


def value_range(stored: np.ndarray, dataset: Dataset) -> tuple[float, float]:
    """Return the extremes of the whole film after the modality LUT, which need not rise with the stored values."""
    lows, highs = [], []
    for rows in row_strips(stored.shape):
        values = apply_modality(stored[rows], dataset)
        lows.append(values.min())
        highs.append(values.max())
    return float(min(lows)), float(max(highs))


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
