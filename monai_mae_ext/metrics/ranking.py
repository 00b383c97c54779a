"""Threshold-free scores of one class: ROC-AUC and average precision, by ranks and with ties."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from monai_mae_ext.errors import UserError

__all__ = ["Ranking", "area_under_curve", "average_precision", "precision_over_recall", "roc_auc"]


class Ranking:
    """The films of one class from the highest score to the lowest: sorted once, so that a resample costs O(N).

    Args:
        scores: ``(N,)`` finite, on any scale: only their order counts.
        labels: ``(N,)``, 0 or 1.

    Raises:
        UserError: for other scores, labels or shapes.
    """

    def __init__(self, scores: ArrayLike, labels: ArrayLike) -> None:
        scores, labels = np.asarray(scores, dtype=float), np.asarray(labels)
        if scores.ndim != 1 or scores.shape != labels.shape:
            raise UserError(f"scores {scores.shape} and labels {labels.shape} must both be (N,): one of each a film")
        if not np.isfinite(scores).all():
            raise UserError("some scores are not finite: look for NaN in the network's output")
        if not np.isin(labels, (0, 1)).all():
            raise UserError(f"labels must be 0 or 1, not {np.setdiff1d(labels, (0, 1))[0]}: correct the data list")
        self.order = np.argsort(-scores, kind="stable")
        self.positive = labels[self.order].astype(bool)
        ranked = scores[self.order]
        # Films of one score stand or fall together: a threshold can only lie behind the last of them.
        self.last = np.flatnonzero(np.diff(ranked, append=-np.inf))
        self.thresholds = ranked[self.last]

    def counts(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """True and false positives ``(T + 1,)`` above each of the T distinct scores, from none to all films.

        Args:
            weights: int ``(N,)``, how often each film counts (once if None).
        """
        times = np.ones(len(self.order), dtype=int) if weights is None else weights[self.order]
        chosen = np.cumsum(times)[self.last]
        true = np.cumsum(times * self.positive)[self.last]
        return np.append(0, true), np.append(0, chosen - true)


def area_under_curve(true: np.ndarray, false: np.ndarray) -> float:
    """Area under the ROC curve of ``Ranking.counts`` (trapezoids, so a tie counts half); NaN if a class is absent."""
    if not true[-1] or not false[-1]:
        return math.nan
    return (np.diff(false) @ (true[1:] + true[:-1])).item() / (2 * true[-1] * false[-1]).item()


def precision_over_recall(true: np.ndarray, false: np.ndarray) -> float:
    """Precision at each step of recall, weighted by the step; NaN if a class is absent."""
    if not true[-1] or not false[-1]:
        return math.nan
    precision = true[1:] / np.maximum(true[1:] + false[1:], 1)  # a resample may hold no film above the first scores
    return (np.diff(true) @ precision / true[-1]).item()


def roc_auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Chance that a positive scores higher than a negative, ties half (Mann-Whitney U over the number of pairs).

    Arguments as in ``Ranking``; NaN where there is no positive or no negative.
    """
    return area_under_curve(*Ranking(scores, labels).counts())


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the precision-recall curve as a sum of steps, without interpolation; tied scores are one threshold.

    Arguments as in ``Ranking``; NaN where there is no positive or no negative.
    """
    return precision_over_recall(*Ranking(scores, labels).counts())
