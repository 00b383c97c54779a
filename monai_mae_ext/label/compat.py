"""Cures for what MONAI Label 0.8.5 meets in today's packages. They come before it is imported, in each process."""

from __future__ import annotations

import sys
from types import ModuleType

__all__ = ["cure_monai_label"]


def cure_monai_label() -> None:
    """Apply those cures that this environment needs."""
    stand_in_for_pydicom_seg()


def stand_in_for_pydicom_seg() -> None:
    """Let an empty module take the place of pydicom-seg, which MONAI Label imports at its start.

    The last pydicom-seg, 0.4.1, cannot be imported beside pydicom 3, and is not installed by our recipe. What needs it
    would fail, the conversion of DICOM SEG, is done here in another way (``pacs``). This can go when MONAI Label is
    released with highdicom in its place, as its source has it since 2025.
    """
    try:
        import pydicom_seg  # noqa: F401
    except ImportError:
        sys.modules["pydicom_seg"] = ModuleType("pydicom_seg")
