"""Figures for people to look at: reconstruction panels and learning curves."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from monai_mae_ext.files import atomic_write
from monai_mae_ext.transforms.masking import mask_image

__all__ = ["save_contact_sheet", "save_learning_curves", "save_panel"]

HIDDEN_COLOUR = (0.20, 0.24, 0.32)


def middle_plane(volume: Tensor) -> np.ndarray:
    """First channel of ``(C, *S)`` as a 2-D array; of a volume the middle slice along the last axis."""
    plane = volume[0].detach().float().cpu()
    return (plane[..., plane.shape[-1] // 2] if plane.ndim == 3 else plane).numpy()


def save_panel(
    path: str | os.PathLike,
    reconstruction: Tensor,
    reference: Mapping[str, Tensor],
    patch_size: Sequence[int] | int,
    caption: str,
    value_range: tuple[float, float] = (0.0, 1.0),
) -> None:
    """One row an image: input, what the encoder saw, reconstruction, error.

    Args:
        path: PNG file, written atomically.
        reconstruction: ``(B, C, *S)`` in displayed units.
        reference: ``image (B, C, *S)``, ``visible (B, K)``.
        patch_size: token size in voxels.
        caption: must say what the reconstruction borrowed (``BORROWED``).
        value_range: black and white of the display; the error's colours span half of it on either side.
    """
    image = reference["image"]
    seen = mask_image(reference["visible"], image.shape[2:], patch_size)
    titles = ("input", "visible to the encoder", "reconstruction", "error (reconstruction - input)")
    rows = len(image)
    figure = Figure(figsize=(11, 2.5 * rows + 0.8), dpi=100, layout="constrained")
    axes = figure.subplots(rows, len(titles), squeeze=False)
    low, high = value_range
    half = (high - low) / 2
    for row in range(rows):
        truth, guess, mask = (middle_plane(item[row]) for item in (image, reconstruction, seen))
        grey = np.clip((truth - low) / (high - low), 0, 1)[..., None].repeat(3, axis=-1)
        masked = np.where(mask[..., None] > 0, grey, HIDDEN_COLOUR)
        axes[row, 0].imshow(truth, cmap="gray", vmin=low, vmax=high)
        axes[row, 1].imshow(masked)
        axes[row, 2].imshow(guess, cmap="gray", vmin=low, vmax=high)
        error = axes[row, 3].imshow(guess - truth, cmap="RdBu_r", vmin=-half, vmax=half)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.colorbar(error, ax=axes[:, -1], shrink=0.6)
    figure.supxlabel(textwrap.fill(caption, 120), fontsize=9)
    with atomic_write(path) as temporary:
        figure.savefig(temporary)


def save_contact_sheet(
    path: str | os.PathLike, images: Sequence[np.ndarray], titles: Sequence[str], columns: int = 6
) -> None:
    """Small pictures in rows, each with a title.

    Args:
        path: PNG file, written atomically.
        images: ``(H, W)`` each, in [0, 1].
        titles: one for each image.
        columns: pictures in a row.
    """
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(2 * columns, 2.2 * rows), dpi=100, layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis, image, title in zip(axes, images, titles, strict=False):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1)
        axis.set_title(title, fontsize=8)
    for axis in axes:
        axis.set_axis_off()
    with atomic_write(path) as temporary:
        figure.savefig(temporary)


def save_learning_curves(rows: Sequence[Mapping[str, float]], path: str | os.PathLike) -> None:
    """Draw every metric of a history over epochs; losses share a plot, so do dB values, and so on (see ``plot_of``).

    Args:
        rows: one mapping an epoch, with ``epoch`` and any metrics; metrics may be missing in some epochs.
        path: PNG file, written atomically.
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(key for row in rows for key in row):
        if name not in ("epoch", "seconds"):
            groups.setdefault(plot_of(name), []).append(name)
    columns = min(3, len(groups))
    lines = -(-len(groups) // columns)
    width, height = 4.2 * columns, 3.0 * lines
    figure = Figure(figsize=(width, height), dpi=100)  # margins in inches: to measure words takes as long as the rest
    axes = list(figure.subplots(lines, columns, squeeze=False).flat)
    figure.subplots_adjust(
        left=0.65 / width, right=1 - 0.15 / width, bottom=0.5 / height, top=1 - 0.3 / height, wspace=0.24, hspace=0.4
    )
    for axis, (title, names) in zip(axes, groups.items(), strict=False):
        for name in names:
            points = [(row["epoch"], row[name]) for row in rows if name in row]
            axis.plot(*zip(*points, strict=True), marker="." if len(points) < 40 else None, label=name)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("epoch")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    for axis in axes[len(groups) :]:
        axis.set_axis_off()
    with atomic_write(path) as temporary:
        figure.savefig(temporary)


def plot_of(name: str) -> str:
    """The plot a metric belongs to: losses together, dB together, and so on."""
    for word in ("loss", "psnr", "ssim", "rank", "readable", "auc"):
        if word in name:
            return word
    return name
