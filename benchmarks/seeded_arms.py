"""Comparison of arms that ran over the same seeds and were tested on the same images: table and figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from monai_mae_ext.files import atomic_write
from monai_mae_ext.metrics.classification import bootstrap, class_mean, rank_classes
from monai_mae_ext.metrics.ranking import area_under_curve

RESAMPLES = 1000


def compare(
    scores: Mapping[str, Sequence[np.ndarray]], labels: np.ndarray, patients: Sequence[str], baseline: str
) -> list[dict[str, Any]]:
    """Mean AUC of each arm, and its paired difference to the baseline.

    Every resample draws patients and seeds with replacement, the same for all arms.

    Args:
        scores: for each arm ``(films, classes)`` of each seed.
        labels: ``(films, classes)``, 0 or 1.
        patients: of the films.
        baseline: an arm.

    Returns:
        A row an arm: ``arm``, ``seeds`` (the mean AUC of each), ``mean``, and for the others than the baseline
        ``difference`` with ``difference_low`` and ``difference_high``, its 95 % interval.
    """
    rankings = [[rank_classes(one, labels) for one in seeds] for seeds in scores.values()]

    def mean_aucs(weights: np.ndarray | None = None) -> np.ndarray:
        return class_mean(
            [[[area_under_curve(*r.counts(weights)) for r in seed] for seed in seeds] for seeds in rankings]
        )

    return paired_rows(list(scores), mean_aucs(), bootstrap(mean_aucs, len(labels), patients, RESAMPLES), baseline)


def compare_scans(scores: Mapping[str, ArrayLike], baseline: str) -> list[dict[str, Any]]:
    """Mean score of each arm over scans, and its paired difference to the baseline: rows as ``compare`` returns.

    Args:
        scores: for each arm ``(seeds, scans)``, a number a scan, such as its mean Dice.
        baseline: an arm.
    """
    values = np.stack([np.asarray(arm, float) for arm in scores.values()])
    drawn = np.random.default_rng(1).integers(values.shape[2], size=(RESAMPLES, values.shape[2]))
    return paired_rows(list(scores), values.mean(2), np.moveaxis(values[:, :, drawn].mean(3), 2, 0), baseline)


def paired_rows(arms: Sequence[str], values: np.ndarray, draws: np.ndarray, baseline: str) -> list[dict[str, Any]]:
    """A row an arm of ``values (arms, seeds)`` and their resamples ``(R, arms, seeds)``; seeds are drawn here."""
    seeds = np.random.default_rng(0).integers(values.shape[1], size=(len(draws), 1, values.shape[1]))
    means = np.take_along_axis(draws, np.broadcast_to(seeds, draws.shape), axis=2).mean(2)
    base = arms.index(baseline)
    rows = []
    for number, arm in enumerate(arms):
        row: dict[str, Any] = {"arm": arm, "seeds": values[number].tolist(), "mean": values[number].mean().item()}
        if arm != baseline:
            low, high = np.percentile(means[:, number] - means[:, base], (2.5, 97.5))
            row["difference"] = (values[number] - values[base]).mean().item()
            row |= {"difference_low": low.item(), "difference_high": high.item()}
        rows.append(row)
    return rows


def markdown(rows: Sequence[Mapping[str, Any]], baseline: str, score: str = "AUC") -> str:
    """Return rows as a table, with "no effect shown" where an interval holds 0."""
    lines = [f"| arm | mean {score} | seed by seed | minus {baseline} (95 %) | |", "|---|---|---|---|---|"]
    for row in rows:
        difference = verdict = ""
        if "difference" in row:
            low, high = row["difference_low"], row["difference_high"]
            difference = f"{row['difference']:+.3f} ({low:+.3f} to {high:+.3f})"
            verdict = "no effect shown" if low <= 0 <= high else "better" if low > 0 else "worse"
        seeds = ", ".join(f"{value:.3f}" for value in row["seeds"])
        lines.append(f"| {row['arm']} | {row['mean']:.3f} | {seeds} | {difference} | {verdict} |")
    return "\n".join(lines)


def save_dots(
    path: str | Path, tables: Mapping[str, Sequence[Mapping[str, Any]]], label: str, chance: float | None = None
) -> None:
    """One panel a table: a dot a seed, runs of one seed joined, a bar at the mean, a line at ``chance``."""
    figure = Figure(figsize=(3.2 * len(tables) + 0.6, 3.6), dpi=110, layout="constrained")
    for axis, (title, rows) in zip(
        figure.subplots(1, len(tables), sharey=True, squeeze=False)[0], tables.items(), strict=True
    ):
        places = np.arange(len(rows))
        axis.plot(places, [row["seeds"] for row in rows], "o-", color="0.55", linewidth=0.7, markersize=5)
        axis.hlines([row["mean"] for row in rows], places - 0.25, places + 0.25, color="tab:red", linewidth=2.5)
        if chance is not None:
            axis.axhline(chance, color="0.6", linestyle=":", linewidth=1)
        axis.set(xticks=places, xlim=(-0.5, len(rows) - 0.5), title=title)
        axis.set_xticklabels([row["arm"].replace(" ", "\n") for row in rows])
        axis.title.set_fontsize(10)
        axis.grid(axis="y", alpha=0.3)
    figure.supylabel(label, fontsize=9)
    with atomic_write(path) as temporary:
        figure.savefig(temporary)
