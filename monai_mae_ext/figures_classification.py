"""Figures of a multi-label classifier: ROC curves, reliability diagram, saliency."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from monai_mae_ext.files import atomic_write
from monai_mae_ext.metrics.calibration import expected_calibration_error, reliability_bins
from monai_mae_ext.metrics.classification import rank_classes
from monai_mae_ext.metrics.ranking import area_under_curve

__all__ = ["save_reliability_diagram", "save_roc_curves", "save_saliency"]

DIAGONAL: dict[str, Any] = {"color": "0.6", "linestyle": ":", "linewidth": 1}


def save_roc_curves(probabilities: ArrayLike, labels: ArrayLike, names: Sequence[str], path: str | os.PathLike) -> None:
    """One ROC curve a class, the best first in the legend; classes that cannot be scored are named below.

    Args:
        probabilities: ``(N, L)``, or logits.
        labels: ``(N, L)``, 0 or 1.
        names: of the L classes.
        path: PNG file, written atomically.
    """
    counts = [ranking.counts() for ranking in rank_classes(probabilities, labels, names)]
    aucs = np.array([area_under_curve(*count) for count in counts])
    figure = Figure(figsize=(8, 5.4), dpi=100, layout="constrained")
    axis = figure.subplots()
    for place, number in enumerate(np.argsort(-aucs)[: np.isfinite(aucs).sum()]):
        true, false = counts[number]
        axis.plot(
            false / false[-1], true / true[-1], linewidth=1.3, label=f"{aucs[number]:.3f}  {names[number]}",
            color=colormaps["tab10"](place % 10), linestyle=("-", "--")[place // 10 % 2],
        )  # fmt: skip
    axis.plot([0, 1], [0, 1], label="0.500  chance", **DIAGONAL)
    axis.set(xlabel="1 - specificity", ylabel="sensitivity", aspect="equal", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axis.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=9, title="AUC", alignment="left", frameon=False)
    if absent := [name for name, auc in zip(names, aucs, strict=True) if np.isnan(auc)]:
        caption = f"not scored, for want of positives or negatives: {', '.join(absent)}"
        figure.supxlabel(textwrap.fill(caption, 100), fontsize=9)
    with atomic_write(path) as temporary:
        figure.savefig(temporary)


def save_reliability_diagram(
    probabilities_before: ArrayLike, probabilities_after: ArrayLike, labels: ArrayLike, path: str | os.PathLike
) -> None:
    """Share of positives against probability, before and after the temperature, above a histogram of probabilities.

    The upper plot ends at the highest bin: with rare findings all bins lie near 0.

    Args:
        probabilities_before, probabilities_after: ``(N, L)``, in [0, 1].
        labels: ``(N, L)``, 0 or 1; all classes are taken together.
        path: PNG file, written atomically.
    """
    figure = Figure(figsize=(5.5, 6.5), dpi=100, layout="constrained")
    top, bottom = figure.subplots(2, height_ratios=(3, 1))
    top.plot([0, 1], [0, 1], label="perfect", **DIAGONAL)
    highest = 0.0
    for when, values, marker in (("before", probabilities_before, "o"), ("after", probabilities_after, "s")):
        probability, frequency, _ = reliability_bins(values, labels)
        error = expected_calibration_error(values, labels)
        top.plot(probability, frequency, marker=marker, markersize=4, label=f"{when}, ECE {error:.3f}")
        highest = max(highest, probability.max(), frequency.max())
        bottom.hist(np.ravel(values), bins=np.linspace(0, 1, 41), histtype="step", log=True)
    span = (-0.02 * highest, 1.05 * highest)
    top.set(xlabel="mean probability of a bin", ylabel="share of positives", xlim=span, ylim=span)
    top.legend(fontsize=9)
    bottom.set(xlabel="probability", ylabel="films x classes", xlim=(0, 1))
    for axis in (top, bottom):
        axis.grid(alpha=0.3)
    with atomic_write(path) as temporary:
        figure.savefig(temporary)


def save_saliency(path: str | os.PathLike, film: Tensor, relevance: Tensor, title: str) -> None:
    """A film, and the same film with the tokens that speak for (red) and against (blue) a finding.

    Args:
        path: PNG file, written atomically.
        film: ``(H, W)`` brightness in [0, 1].
        relevance: one value a token, 2-D, for instance of ``token_occlusion``.
        title: finding and probability.
    """
    height, width = film.shape
    limit = max(relevance.abs().max().item(), 1e-6)
    figure = Figure(figsize=(8, 4.3), dpi=100, layout="constrained")
    plain, overlaid = figure.subplots(1, 2)
    for axis in (plain, overlaid):
        axis.imshow(film, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0))
        axis.set_axis_off()
    colours = overlaid.imshow(
        relevance, cmap="RdBu_r", vmin=-limit, vmax=limit, alpha=0.45, extent=(0, width, height, 0),
        interpolation="bicubic",
    )  # fmt: skip
    plain.set_title("film", fontsize=10)
    overlaid.set_title(title, fontsize=10)
    figure.colorbar(colours, ax=overlaid, shrink=0.7, label="fall of the logit without the token")
    with atomic_write(path) as temporary:
        figure.savefig(temporary)
