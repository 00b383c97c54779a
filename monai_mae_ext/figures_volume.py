"""Figures of volumes: three planes through the middle."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from monai_mae_ext.files import atomic_write

__all__ = ["PLANES", "plane_of", "save_volume_panel"]

PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}
"""Planes of a volume in RAS orientation, and the axis across each."""


def plane_of(volume: np.ndarray, axis: int, index: int | None = None) -> np.ndarray:
    """A slice of a volume ``(R, A, S)`` as radiologists look at it: cranial or anterior up, right (or anterior) left.

    Args:
        volume: three axes, in RAS orientation.
        axis: the one across the slice.
        index: which slice; None for the middle.
    """
    middle = volume.shape[axis] // 2
    return np.flip(np.take(volume, middle if index is None else index, axis)).T


def save_volume_panel(
    path: str | os.PathLike, pictures: Mapping[str, Tensor], spacing: Sequence[float], caption: str
) -> None:
    """A row each for the axial, coronal and sagittal middle plane, a column a picture, then the error of the last.

    Args:
        path: PNG file, written atomically.
        pictures: titles and volumes ``(1, *S)`` in [0, 1], RAS; the first is the truth.
        spacing: millimetres an axis.
        caption: must say what a reconstruction borrowed (``BORROWED``).
    """
    volumes = {title: volume[0].float().cpu().numpy() for title, volume in pictures.items()}
    truth, *_, last = volumes.values()
    figure = Figure(figsize=(2.6 * (len(volumes) + 1), 8.2), dpi=100, layout="constrained")
    axes = figure.subplots(len(PLANES), len(volumes) + 1)
    for row, (plane, across) in zip(axes, PLANES.items(), strict=True):
        for axis, (title, volume) in zip(row, volumes.items(), strict=False):
            show_plane(axis, volume, across, spacing, cmap="gray", vmin=0, vmax=1)
            axis.set_title(f"{plane}: {title}" if axis is row[0] else title, fontsize=9)
        show_plane(row[-1], last - truth, across, spacing, cmap="RdBu_r", vmin=-0.5, vmax=0.5)
        row[-1].set_title("error of the last", fontsize=9)
    figure.colorbar(axes[0, -1].images[0], ax=axes[:, -1], shrink=0.5)
    figure.supxlabel(textwrap.fill(caption, 120), fontsize=9)
    with atomic_write(path) as temporary:
        figure.savefig(temporary)


def show_plane(axis: Axes, volume: np.ndarray, across: int, spacing: Sequence[float], **options: object) -> None:
    """Draw the middle plane with square millimetres."""
    width, height = (spacing[number] for number in range(3) if number != across)
    axis.imshow(plane_of(volume, across), aspect=height / width, interpolation="nearest", **options)  # type: ignore[arg-type]
    axis.set_axis_off()
