"""Probabilities that mean what they say: a temperature and thresholds, fitted on the validation split."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import expit
from torch import Tensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write
from monai_mae_ext.metrics.classification import rank_classes
from monai_mae_ext.metrics.ranking import Ranking

__all__ = [
    "Calibration",
    "expected_calibration_error",
    "f1_thresholds",
    "fit_temperature",
    "reliability_bins",
    "youden_thresholds",
]

TEMPERATURES = (0.05, 20.0)
Logits = TypeVar("Logits", np.ndarray, Tensor)


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature T for which ``sigmoid(logits / T)`` has the least binary cross-entropy over all entries.

    (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2, for several labels.) It does not
    change the order of the films, so that no AUC changes.

    Args:
        logits: ``(N, L)``.
        labels: ``(N, L)``, 0 or 1.

    Returns:
        T within [0.05, 20]; above 1 the classifier was too sure. At either end it comes with a warning: the logits
        separate the labels perfectly, or tell nothing about them.

    Raises:
        UserError: if there are no positives or no negatives, or for logits that are not finite.
    """
    entries, truth = paired_entries(logits, labels)
    if truth.min() == truth.max():
        raise UserError("a temperature needs positive and negative labels: calibrate on a larger validation split")

    def cross_entropy(log_temperature: float) -> float:
        scaled = entries / math.exp(log_temperature)
        return (np.logaddexp(0, scaled) - truth * scaled).mean()

    low, high = np.log(TEMPERATURES)
    best = minimize_scalar(cross_entropy, bounds=(low, high), method="bounded", options={"xatol": 1e-6}).x
    if min(best - low, high - best) < 1e-3:
        warnings.warn(f"temperature {math.exp(best):.3g} is the end of {TEMPERATURES}: do not trust it", stacklevel=2)
    return math.exp(best)


def paired_entries(values: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both as one row of floats; ``UserError`` if there are none, or unequally many, or some are not finite."""
    values, labels = np.asarray(values, dtype=float), np.asarray(labels, dtype=float)
    if not values.size or values.shape != labels.shape:
        raise UserError(f"calibration needs a label for each output, not {labels.shape} for {values.shape}")
    if not np.isfinite(values).all():
        raise UserError("some outputs are not finite: look for NaN in the network's logits")
    return values.ravel(), labels.ravel()


def youden_thresholds(probabilities: ArrayLike, labels: ArrayLike) -> list[float | None]:
    """For each class the threshold with the largest sensitivity + specificity - 1 (Youden, Cancer 1950).

    It lies midway between two neighbouring scores; a film at or above it is positive. Of equally good ones the
    highest is taken.

    Args:
        probabilities: ``(N, L)``.
        labels: ``(N, L)``, 0 or 1.

    Returns:
        L thresholds; None for a class without positives or negatives, or where no threshold is better than chance.
    """
    return [best_threshold(ranking) for ranking in rank_classes(probabilities, labels)]


def best_threshold(ranking: Ranking) -> float | None:
    """Youden's threshold of one class, see ``youden_thresholds``."""
    true, false = ranking.counts()
    if not true[-1] or not false[-1]:
        return None
    youden = true / true[-1] - false / false[-1]
    best = youden.argmax()  # neither first nor last if above 0: those call no film or all films positive
    return ranking.thresholds[best - 1 : best + 1].mean().item() if youden[best] > 0 else None


def f1_thresholds(probabilities: ArrayLike, labels: ArrayLike) -> list[float | None]:
    """One threshold for all classes, with the largest F1 of all entries together; an entry at or above it is positive.

    It lies midway between two neighbouring probabilities; of equally good ones the highest is taken.

    Args:
        probabilities: ``(N, L)``.
        labels: ``(N, L)``, 0 or 1, not all 0.

    Returns:
        The threshold, L times.
    """
    ranking = Ranking(*paired_entries(probabilities, labels))
    true, false = ranking.counts()
    best = (2 * true / (true + false + true[-1])).argmax()  # at least 1: no entry has F1 0
    return [ranking.thresholds[best - 1 : best + 1].mean().item()] * np.shape(labels)[1]


def reliability_bins(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = 15
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean probability, share of positives and number of entries in bins of equal mass, over all entries together.

    Equal probabilities share a bin, so that there may be fewer bins; empty ones are left out.

    Args:
        probabilities, labels: of one shape.
        bins: wanted number.
    """
    entries, truth = paired_entries(probabilities, labels)
    edges = np.quantile(entries, np.linspace(0, 1, bins + 1)[1:-1])
    place = np.searchsorted(edges, entries)
    count, probability, positives = (np.bincount(place, weights, bins) for weights in (None, entries, truth))
    filled = count > 0
    count = count[filled]
    return probability[filled] / count, positives[filled] / count, count


def expected_calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> float:
    """Mean distance between probability and share of positives over the entries of ``reliability_bins``, in [0, 1]."""
    probability, frequency, count = reliability_bins(probabilities, labels, bins)
    return np.average(np.abs(probability - frequency), weights=count).item()


@dataclass(frozen=True)
class Calibration:
    """What turns a classifier's logits into probabilities and findings.

    Args:
        label_names: of the L classes, in the order of the logits.
        temperature: see ``fit_temperature``.
        thresholds: of the probabilities after the temperature, as ``choose`` of ``fit`` finds them.
        films: size of the validation split that all was fitted on.
        positives: of each class in that split.
    """

    label_names: tuple[str, ...]
    temperature: float
    thresholds: tuple[float | None, ...]
    films: int
    positives: tuple[int, ...]

    @classmethod
    def fit(
        cls,
        logits: ArrayLike,
        labels: ArrayLike,
        label_names: Sequence[str],
        choose: Callable[[ArrayLike, ArrayLike], list[float | None]] = youden_thresholds,
    ) -> Calibration:
        """Fit on ``logits`` and ``labels (N, L)`` of the validation split; ``choose`` finds thresholds."""
        temperature = fit_temperature(logits, labels)
        logits, labels = np.asarray(logits, dtype=float), np.asarray(labels)
        thresholds = choose(expit(logits / temperature), labels)
        positives = labels.sum(0).astype(int).tolist()
        return cls(tuple(label_names), temperature, tuple(thresholds), len(labels), tuple(positives))

    @classmethod
    def neutral(cls, label_names: Sequence[str]) -> Calibration:
        """What was fitted on nothing: it changes no probability, and calls one half and more positive."""
        n = len(label_names)
        return cls(tuple(label_names), 1.0, (0.5,) * n, 0, (0,) * n)

    def apply(self, logits: Logits) -> Logits:
        """Probabilities ``(..., L)`` of logits ``(..., L)``, array for array and tensor (in float32) for tensor."""
        if isinstance(logits, Tensor):
            return torch.sigmoid(logits.float() / self.temperature)
        return expit(logits / self.temperature)

    def save(self, path: str | os.PathLike) -> None:
        """Write a JSON file, atomically."""
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike, label_names: Sequence[str]) -> Calibration:
        """Read what ``save`` wrote.

        Args:
            path: JSON file.
            label_names: the labels that the classifier predicts, in order.

        Raises:
            UserError: if there is no such file, if it is malformed, or for other labels.
        """
        try:
            facts = json.loads(Path(path).read_text())
            values: dict[str, Any] = {key: tuple(x) if isinstance(x, list) else x for key, x in facts.items()}
            calibration = cls(**values)
            calibration.check()
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is no calibration ({error}): fit it again on the validation split") from error
        if calibration.label_names != tuple(label_names):
            raise UserError(
                f"{path} is for the labels {list(calibration.label_names)}, not {list(label_names)}: take the "
                "calibration of this classifier, or fit it again on the validation split"
            )
        return calibration

    def check(self) -> None:
        """Raise ``ValueError`` where a value cannot be."""
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature {self.temperature}")
        if not len(self.label_names) == len(self.thresholds) == len(self.positives):
            raise ValueError("label_names, thresholds and positives differ in length")
        if not all(threshold is None or 0 <= threshold <= 1 for threshold in self.thresholds):
            raise ValueError(f"thresholds {self.thresholds}")
