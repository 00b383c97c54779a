"""Reducing a very large film strip by strip, so that its brightness never exists at full size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["ReducedFilm", "reduce_film", "reduction_factor", "row_strips"]

STRIP_PIXELS = 2**18  # 2 MiB of float64: small beside any film, large beside the cost of a Python call


class ReducedFilm(NamedTuple):
    """A film whose every pixel is the mean of a box of ``factor`` x ``factor`` stored pixels.

    Attributes:
        brightness: float32 (H, W).
        lowest, highest: extremes of the brightness before it was averaged; NaN if any was.
        stored_shape: rows and columns before.
        factor: 1 for a film as it is stored.
    """

    brightness: np.ndarray
    lowest: float
    highest: float
    stored_shape: tuple[int, int]
    factor: int


def reduce_film(
    brightness_of: Callable[[slice], np.ndarray], stored_shape: tuple[int, int], max_side: int | None
) -> ReducedFilm:
    """Average a film over boxes if its shorter side is at least twice ``max_side``.

    Where a side is no multiple of the factor, the last boxes are smaller: no pixel is dropped.

    Args:
        brightness_of: returns the brightness (rows, columns) of a slice of rows, floating point of any precision.
        stored_shape: rows and columns of the film.
        max_side: see ``reduction_factor``.
    """
    factor = reduction_factor(stored_shape, max_side)
    if factor == 1:
        brightness = brightness_of(slice(0, stored_shape[0])).astype(np.float32, copy=False)
        return ReducedFilm(brightness, brightness.min(), brightness.max(), stored_shape, factor)
    means, lows, highs = [], [], []
    for rows in row_strips(stored_shape, factor):
        strip = brightness_of(rows).astype(np.float32, copy=False)
        means.append(box_means(strip, factor).astype(np.float32))
        lows.append(strip.min())
        highs.append(strip.max())
    return ReducedFilm(np.concatenate(means), np.min(lows), np.max(highs), stored_shape, factor)


def reduction_factor(stored_shape: tuple[int, int], max_side: int | None) -> int:
    """Return the largest whole number that leaves the shorter side at least ``max_side`` long, 1 for None."""
    return 1 if max_side is None else max(min(stored_shape) // max_side, 1)


def row_strips(stored_shape: tuple[int, int], factor: int = 1) -> Iterator[slice]:
    """Yield slices of about ``STRIP_PIXELS`` that cover all rows; any but the last is a multiple of ``factor`` high."""
    n_rows, n_columns = stored_shape
    height = max(STRIP_PIXELS // (n_columns * factor), 1) * factor
    for first in range(0, n_rows, height):
        yield slice(first, min(first + height, n_rows))


def box_means(image: np.ndarray, factor: int) -> np.ndarray:
    """Return the float64 means over boxes of ``factor`` x ``factor`` pixels, fewer at the bottom and right edge."""
    means = image.astype(np.float64)
    for axis in (0, 1):
        length = image.shape[axis]
        starts = np.arange(0, length, factor)
        counts = np.diff(starts, append=length)
        means = np.add.reduceat(means, starts, axis=axis) / np.expand_dims(counts, 1 - axis)
    return means
