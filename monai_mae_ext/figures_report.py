"""Pictures of generated reports."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from monai_mae_ext.files import atomic_write

__all__ = ["save_report"]

COLUMNS = 4


def save_report(
    path: str | os.PathLike,
    films: Tensor,
    plan: Mapping[str, float],
    mentioned: Collection[str],
    words: Sequence[str],
    probabilities: Tensor,
    attention: Tensor,
) -> None:
    """The films, how probable each finding is, and for each sentence where cross attention looked meanwhile.

    The colour is the attention of a sentence's words above the mean over the whole report, since some places are looked
    at by every word. It tells where the network looked, not why it says what it says.

    Args:
        path: PNG file, written atomically.
        films: ``(V, H, W)`` brightness in [0, 1].
        plan: findings and their probabilities; may be empty.
        mentioned: the findings that the report mentions.
        words: ``T`` words and full stops.
        probabilities: ``(T,)`` of each word.
        attention: ``(T, V, h, w)`` over the tokens of the films.
    """
    usual = attention.mean(0)
    spans = sentence_spans(words)
    excess = [(attention[span].mean(0) - usual).clamp(min=0) for span in spans]
    most = max([float(values.max()) for values in excess], default=0.0) or 1.0
    n_panels = len(films) + bool(plan) + len(spans)
    columns, rows = min(COLUMNS, n_panels), -(-n_panels // COLUMNS)
    figure = Figure(figsize=(2.7 * columns, 3.7 * rows), dpi=100, layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(rows, columns)).ravel())
    for axis in axes:
        axis.set_axis_off()
    for view, film in enumerate(films):
        show_film(axes.pop(0), film, "film" if len(films) == 1 else f"view {view + 1}")
    if plan:
        show_findings(axes.pop(0), plan, mentioned)
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


def show_findings(axis: Axes, plan: Mapping[str, float], mentioned: Collection[str]) -> None:
    """A bar a finding, the first on top; coloured if the report mentions it."""
    axis.set_axis_on()
    colours = ["orangered" if name in mentioned else "silver" for name in plan]
    axis.barh(range(len(plan)), list(plan.values()), color=colours)
    for place, name in enumerate(plan):
        axis.text(0.02, place, name.replace("_", " "), fontsize=7, verticalalignment="center")
    axis.set(xlim=(0, 1), xticks=(0, 0.5, 1), yticks=(), box_aspect=1)
    axis.invert_yaxis()
    axis.tick_params(labelsize=7)
    axis.set_title("probability of each finding,\nred if the report mentions it", fontsize=7.5)


def sentence_spans(words: Sequence[str]) -> list[slice]:
    """Where each sentence stands, without its full stop."""
    spans, start = [], 0
    for number, word in enumerate([*words, "."]):
        if word == ".":
            if number > start:
                spans.append(slice(start, number))
            start = number + 1
    return spans
