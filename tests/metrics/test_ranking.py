from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from monai_mae_ext.errors import UserError
from monai_mae_ext.metrics import average_precision, roc_auc
from monai_mae_ext.metrics.ranking import Ranking, area_under_curve, precision_over_recall

films = st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 1)), min_size=2, max_size=30).filter(
    lambda pairs: 0 < sum(label for _, label in pairs) < len(pairs)
)


@given(films)
def test_auc_is_the_mann_whitney_u_over_the_number_of_pairs(pairs):
    scores, labels = np.array(pairs).T
    positive, negative = scores[labels == 1], scores[labels == 0]
    expected = mannwhitneyu(positive, negative, method="asymptotic").statistic / (len(positive) * len(negative))
    assert roc_auc(scores, labels) == pytest.approx(expected)


@given(films)
def test_turning_the_scores_round_turns_the_auc_round(pairs):
    scores, labels = np.array(pairs).T
    assert roc_auc(-scores, labels) == pytest.approx(1 - roc_auc(scores, labels))


@given(films)
def test_only_the_order_of_the_scores_counts(pairs):
    scores, labels = np.array(pairs).T
    assert roc_auc(np.exp(scores), labels) == roc_auc(scores, labels)
    assert average_precision(np.exp(scores), labels) == average_precision(scores, labels)


@given(films, st.data())
def test_weights_are_repeated_films(pairs, data):
    scores, labels = np.array(pairs).T
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(pairs), max_size=len(pairs))))
    weighted = Ranking(scores, labels).counts(weights)
    repeated = Ranking(np.repeat(scores, weights), np.repeat(labels, weights)).counts()
    np.testing.assert_allclose(area_under_curve(*weighted), area_under_curve(*repeated))
    np.testing.assert_allclose(precision_over_recall(*weighted), precision_over_recall(*repeated))


def test_by_hand():
    """Falling scores of + - + -: 3 of 4 pairs in order; precision 1 and 2/3 at the two steps of recall."""
    scores, labels = [0.1, 0.9, 0.6, 0.8], [0, 1, 1, 0]
    assert roc_auc(scores, labels) == 0.75
    assert average_precision(scores, labels) == pytest.approx((1 + 2 / 3) / 2)


def test_ties_are_one_threshold_by_hand():
    """Above: one positive. Tied: a positive and a negative, half a pair. Below: a negative."""
    scores, labels = [3, 2, 2, 1], [1, 1, 0, 0]
    true, false = Ranking(scores, labels).counts()
    assert (true.tolist(), false.tolist()) == ([0, 1, 2, 2], [0, 0, 1, 2])
    assert roc_auc(scores, labels) == 3.5 / 4
    assert average_precision(scores, labels) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(scores[::-1], labels[::-1]) == average_precision(scores, labels)


def test_constant_scores_are_chance():
    assert roc_auc([1, 1, 1, 1, 1], [1, 0, 0, 0, 0]) == 0.5
    assert average_precision([1, 1, 1, 1, 1], [1, 0, 0, 0, 0]) == pytest.approx(0.2)


@pytest.mark.parametrize("labels", [[0, 0], [1, 1], []])
def test_an_absent_class_gives_nan(labels):
    assert math.isnan(roc_auc(range(len(labels)), labels))
    assert math.isnan(average_precision(range(len(labels)), labels))


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.1, math.nan], [0, 1], "not finite"),
        ([0.1, 0.2], [0, 2], "0 or 1, not 2"),
        ([0.1, 0.2], [0, 1, 1], r"\(2,\).*\(3,\)"),
        ([[0.1], [0.2]], [[0], [1]], r"must both be \(N,\)"),
    ],
)
def test_what_cannot_be_ranked_is_refused(scores, labels, message):
    with pytest.raises(UserError, match=message):
        roc_auc(scores, labels)
