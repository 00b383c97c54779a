"""Figures of volumes: three planes through the middle."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from monai_mae_ext.files import atomic_write

__all__ = ["PLANES", "plane_of", "save_label_overlay", "save_volume_panel"]

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
    return np.flip(volume.take(middle if index is None else index, axis)).T


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


def show_plane(
    axis: Axes, volume: np.ndarray, across: int, spacing: Sequence[float], index: int | None = None, **options: object
) -> None:
    """Draw a plane (the middle one unless told) with square millimetres."""
    width, height = (spacing[number] for number in range(3) if number != across)
    axis.imshow(plane_of(volume, across, index), aspect=height / width, interpolation="nearest", **options)  # type: ignore[arg-type]
    axis.set_axis_off()


def save_label_overlay(
    path: str | os.PathLike,
    image: np.ndarray,
    labels: np.ndarray,
    spacing: Sequence[float],
    names: Sequence[str],
    value_range: tuple[float, float],
) -> None:
    """Three planes of a volume, below them the same with coloured labels; each plane where most is labelled.

    Args:
        path: PNG file, written atomically.
        image, labels: ``(R, A, S)``, in RAS orientation.
        spacing: millimetres an axis.
        names: of the labels, the background (0) first.
        value_range: black and white of the display, in the image's units.
    """
    colours = ListedColormap([colormaps["tab20"](number % 20) for number in range(len(names))])
    figure = Figure(figsize=(11, 7.6), dpi=100, layout="constrained")
    axes = figure.subplots(2, len(PLANES))
    low, high = value_range
    for column, (plane, across) in enumerate(PLANES.items()):
        counts = (labels > 0).sum(tuple(axis for axis in range(3) if axis != across))
        index = int(counts.argmax()) if counts.any() else None
        for axis in axes[:, column]:
            show_plane(axis, image, across, spacing, index, cmap="gray", vmin=low, vmax=high)
        drawn = np.ma.masked_equal(labels, 0)
        show_plane(
            axes[1, column], drawn, across, spacing, index, cmap=colours, vmin=-0.5, vmax=len(names) - 0.5, alpha=0.6
        )
        axes[0, column].set_title(plane, fontsize=9)
    present = [number for number in np.unique(labels).tolist() if number]
    patches = [Patch(color=colours(number), label=names[number]) for number in present]
    figure.legend(handles=patches, loc="outside lower center", ncols=7, fontsize=8)
    with atomic_write(path) as temporary:
        figure.savefig(temporary)
