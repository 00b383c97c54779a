"""Pictures of generated reports."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from monai_mae_ext.files import atomic_write

__all__ = ["save_report"]

COLUMNS = 4


def save_report(
    path: str | os.PathLike, films: Tensor, words: Sequence[str], probabilities: Tensor, attention: Tensor
) -> None:
    """The films, and for each sentence where cross attention looked while its words were chosen.

    The colour is the attention of a sentence's words above the mean over the whole report, since some places are looked
    at by every word. It tells where the network looked, not why it says what it says.

    Args:
        path: PNG file, written atomically.
        films: ``(V, H, W)`` brightness in [0, 1].
        words: ``T`` words and full stops.
        probabilities: ``(T,)`` of each word.
        attention: ``(T, V, h, w)`` over the tokens of the films.
    """
    usual = attention.mean(0)
    spans = sentence_spans(words)
    excess = [(attention[span].mean(0) - usual).clamp(min=0) for span in spans]
    most = max([float(values.max()) for values in excess], default=0.0) or 1.0
    n_panels = len(films) + len(spans)
    columns, rows = min(COLUMNS, n_panels), -(-n_panels // COLUMNS)
    figure = Figure(figsize=(2.7 * columns, 3.7 * rows), dpi=100, layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(rows, columns)).ravel())
    for axis in axes:
        axis.set_axis_off()
    for view, film in enumerate(films):
        show_film(axes.pop(0), film, "film" if len(films) == 1 else f"view {view + 1}")
    for span, values in zip(spans, excess, strict=True):
        view = int(values.flatten(1).sum(1).argmax())
        sentence = textwrap.fill(" ".join(words[span]), 42)
        axis = axes.pop(0)
        show_film(axis, films[view], f"{sentence}\np {probabilities[span].log().mean().exp():.2f}")
        height, width = films[view].shape
        colours = np.zeros((*values[view].shape, 4))
        colours[..., :3], colours[..., 3] = to_rgb("orangered"), values[view] / most * 0.75
        axis.imshow(colours, extent=(0, width, height, 0), interpolation="bicubic")
    with atomic_write(path) as temporary:
        figure.savefig(temporary)


def show_film(axis: Axes, film: Tensor, title: str) -> None:
    axis.imshow(film, cmap="gray", vmin=0, vmax=1, extent=(0, film.shape[1], film.shape[0], 0))
    axis.set_title(title, fontsize=7.5)


def sentence_spans(words: Sequence[str]) -> list[slice]:
    """Where each sentence stands, without its full stop."""
    spans, start = [], 0
    for number, word in enumerate([*words, "."]):
        if word == ".":
            if number > start:
                spans.append(slice(start, number))
            start = number + 1
    return spans
