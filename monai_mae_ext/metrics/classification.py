"""How good is a multi-label classifier: scores of each class, their mean, and bootstrap intervals over patients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from monai.metrics import CumulativeIterationMetric
from numpy.typing import ArrayLike
from torch import Tensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.metrics.ranking import Ranking, area_under_curve, precision_over_recall

__all__ = ["MeanAUC", "bootstrap", "classification_table", "mean_scores", "paired_difference", "rank_classes"]


def bootstrap(
    statistic: Callable[[np.ndarray], Any], n: int, groups: Sequence | None = None, resamples: int = 1000, seed: int = 0
) -> np.ndarray:
    """A statistic over ``resamples`` draws with replacement, ``(resamples, ...)``.

    Args:
        statistic: takes int weights ``(n,)``, how often each film was drawn.
        n: number of films.
        groups: ``(n,)`` patient of each film: whole patients are drawn, because films of one patient are not
            independent. None draws films.
        resamples: number of draws.
        seed: of ``numpy.random.default_rng``; equal seeds draw the same films, so that results can be paired.

    Raises:
        UserError: without films or draws, or for groups of another length.
    """
    if n < 1 or resamples < 1:
        raise UserError(f"a bootstrap needs at least one film and one resample, not {n} and {resamples}")
    if groups is not None and len(groups) != n:
        raise UserError(f"{len(groups)} groups for {n} films: give the patient of each film")
    _, member = np.unique(np.arange(n) if groups is None else np.asarray(groups), return_inverse=True)
    count = member.max() + 1
    random = np.random.default_rng(seed)
    draws = (np.bincount(random.integers(count, size=count), minlength=count) for _ in range(resamples))
    return np.array([statistic(times[member]) for times in draws])


def rank_classes(scores: ArrayLike, labels: ArrayLike, names: Sequence[str] | None = None) -> list[Ranking]:
    """A ranking for each column of ``scores`` and ``labels (N, L)``."""
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or scores.shape != labels.shape or names is not None and len(names) != labels.shape[1]:
        named = "" if names is None else f", {len(names)} names"
        raise UserError(f"scores {scores.shape}, labels {labels.shape}{named} do not match: (films, classes) wanted")
    return [Ranking(column, label) for column, label in zip(scores.T, labels.T, strict=True)]


def known(value: float) -> float | None:
    """A Python number, or None for NaN, which JSON does not know."""
    return None if math.isnan(value) else float(value)


def with_interval(name: str, value: float, draws: np.ndarray) -> dict[str, float | None]:
    """``name``, ``name_low`` and ``name_high``: a value and its 95 % percentile interval over the draws but NaN."""
    draws = draws[~np.isnan(draws)]
    low, high = np.percentile(draws, (2.5, 97.5)) if len(draws) else (math.nan, math.nan)
    return {name: known(value), f"{name}_low": known(low), f"{name}_high": known(high)}


def classification_table(
    probabilities: ArrayLike,
    labels: ArrayLike,
    names: Sequence[str],
    groups: Sequence | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Scores of each class with 95 % bootstrap intervals (percentiles; resamples without the class are left out).

    Args:
        probabilities: ``(N, L)``, or logits.
        labels: ``(N, L)``, 0 or 1.
        names: of the L classes.
        groups, resamples, seed: as in ``bootstrap``.

    Returns:
        A row a class, in order: ``name``, ``positives``, ``negatives``, ``auc``, ``average_precision``, both with
        ``_low`` and ``_high``, and ``note``: "no positives" or "no negatives" where the scores are None, else "".

    Raises:
        UserError: for shapes that do not match, scores that are not finite, labels other than 0 and 1, no film.
    """
    rankings = rank_classes(probabilities, labels, names)

    def scores(weights: np.ndarray | None = None) -> list[tuple[float, float]]:
        counts = [ranking.counts(weights) for ranking in rankings]
        return [(area_under_curve(*count), precision_over_recall(*count)) for count in counts]

    draws = bootstrap(scores, len(np.asarray(labels)), groups, resamples, seed)
    rows = []
    for number, (name, ranking, values) in enumerate(zip(names, rankings, scores(), strict=True)):
        positives = int(ranking.positive.sum())
        negatives = len(ranking.positive) - positives
        row = {"name": name, "positives": positives, "negatives": negatives}
        for score, value, draw in zip(("auc", "average_precision"), values, draws[:, number].T, strict=True):
            row |= with_interval(score, value, draw)
        rows.append(row | {"note": "no positives" if not positives else "no negatives" if not negatives else ""})
    return rows


def class_mean(aucs: ArrayLike) -> np.ndarray:
    """Mean over the last axis of the classes that can be scored; NaN where none can."""
    scored = ~np.isnan(aucs)
    with np.errstate(invalid="ignore"):
        return np.where(scored, aucs, 0).sum(-1) / scored.sum(-1)


class MeanAUC(CumulativeIterationMetric):
    """Mean AUC over the classes with positives and negatives, of all processes' films together.

    (MONAI's ``ROCAUCMetric`` gives NaN as soon as one class has no positive; ignite's ``EpochMetric`` breaks off when
    processes hold unequally many films.) Call it with logits and labels, lists of ``(L,)`` or ``(B, L)``.

    Raises:
        UserError: from ``aggregate``, if no class has both.
    """

    def _compute_tensor(self, y_pred: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return y_pred.float(), y

    def aggregate(self) -> float:
        logits, labels = (values.cpu().numpy() for values in self.get_buffer())
        mean = class_mean([area_under_curve(*ranking.counts()) for ranking in rank_classes(logits, labels)]).item()
        if math.isnan(mean):
            raise UserError(
                f"no class has positives and negatives among {len(labels)} films: raise --validation_fraction"
            )
        return mean


def mean_scores(
    probabilities: ArrayLike,
    labels: ArrayLike,
    names: Sequence[str],
    groups: Sequence | None = None,
    resamples: int = 1000,
    seed: int = 0,
    min_positives: int | None = None,
) -> dict[str, Any]:
    """Mean AUC over the classes with positives and negatives; arguments and errors as in ``classification_table``.

    A class that loses its positives or negatives in a resample is left out of that resample's mean.

    Returns:
        ``films``, ``mean_auc`` with ``_low`` and ``_high`` (None if no class can be scored), ``classes``, the number
        of classes in the mean, and ``left_out``, the names of the others. With ``min_positives`` also
        ``frequent_classes``: the same over the classes that have at least so many positives.
    """
    rankings = rank_classes(probabilities, labels, names)

    def aucs(weights: np.ndarray | None = None) -> list[float]:
        return [area_under_curve(*ranking.counts(weights)) for ranking in rankings]

    films = len(np.asarray(labels))
    values, draws = np.array(aucs()), bootstrap(aucs, films, groups, resamples, seed)

    def mean_of(chosen: np.ndarray) -> dict[str, Any]:
        left_out = [name for name, scored in zip(names, chosen, strict=True) if not scored]
        mean = with_interval("mean_auc", class_mean(values[chosen]).item(), class_mean(draws[:, chosen]))
        return mean | {"classes": int(chosen.sum()), "left_out": left_out}

    scorable = ~np.isnan(values)
    means = {"films": films} | mean_of(scorable)
    if min_positives is not None:
        frequent = scorable & (np.asarray(labels).sum(0) >= min_positives)
        means["frequent_classes"] = {"min_positives": min_positives} | mean_of(frequent)
    return means


def paired_difference(
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    labels: ArrayLike,
    groups: Sequence | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, float | None]:
    """Difference of the mean AUC of two models on the same films; both see the same films in every resample.

    Args:
        scores_a, scores_b: ``(N, L)``.
        labels, groups, resamples, seed: as in ``classification_table``.

    Returns:
        ``mean_auc_a``, ``mean_auc_b``, and ``difference`` (a minus b) with ``_low`` and ``_high``.
    """
    models = rank_classes(scores_a, labels), rank_classes(scores_b, labels)

    def means(weights: np.ndarray | None = None) -> np.ndarray:
        return class_mean([[area_under_curve(*ranking.counts(weights)) for ranking in model] for model in models])

    (a, b), draws = means(), bootstrap(means, len(np.asarray(labels)), groups, resamples, seed)
    return {"mean_auc_a": known(a), "mean_auc_b": known(b)} | with_interval("difference", a - b, draws @ (1, -1))
