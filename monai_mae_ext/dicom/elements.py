"""Reading single elements of files that others wrote, and keeping quiet about what those hold."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from pydicom import Dataset

__all__ = ["discreet", "integer", "numbers", "one_line", "text"]


@contextmanager
def discreet() -> Iterator[None]:
    """Keep back what pydicom and highdicom warn of: they quote values and file names, where a patient's name may be."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def numbers(header: Dataset, keyword: str, count: int) -> np.ndarray | None:
    """Return the ``count`` finite numbers of an element, float64, or None where it is missing or holds others."""
    try:
        values = np.atleast_1d(np.asarray(header.get(keyword), dtype=np.float64))
    except (TypeError, ValueError, OverflowError):
        return None
    return values if values.shape == (count,) and np.isfinite(values).all() else None


def integer(header: Dataset, keyword: str) -> int | None:
    """Return the number of an element that holds one, or None."""
    values = numbers(header, keyword, 1)
    return None if values is None else int(values[0])


def text(header: Dataset, keyword: str) -> str:
    """Return an element as text, several values parted by backslashes, or "" where it is missing or malformed."""
    try:
        value = header.get(keyword)
    except (TypeError, ValueError, OverflowError):
        return ""
    if value is None:
        return ""
    return (
        str(value) if isinstance(value, str | bytes) or not hasattr(value, "__iter__") else "\\".join(map(str, value))
    )


def one_line(error: Exception) -> str:
    """Return the message of ``error`` without line breaks."""
    return " ".join(str(error).split())
