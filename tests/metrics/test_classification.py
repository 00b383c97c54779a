from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from monai_mae_ext.errors import UserError
from monai_mae_ext.metrics import (
    MeanAUC,
    average_precision,
    classification_table,
    mean_scores,
    paired_difference,
    roc_auc,
)
from monai_mae_ext.metrics.classification import bootstrap

NAMES = ["edema", "mass", "hernia"]


def films(n: int, seed: int = 0, shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels ``(n, 3)``; positives score higher by ``shift``."""
    random = np.random.default_rng(seed)
    labels = (random.random((n, 3)) < (0.5, 0.3, 0.2)).astype(int)
    return random.normal(size=(n, 3)) + shift * labels, labels


def width(row: dict) -> float:
    return row["auc_high"] - row["auc_low"]


def test_rows_hold_counts_and_scores_of_each_class():
    scores, labels = films(60)
    rows = classification_table(scores, labels, NAMES, resamples=50)
    assert [row["name"] for row in rows] == NAMES
    for number, row in enumerate(rows):
        assert (row["positives"], row["negatives"]) == (labels[:, number].sum(), 60 - labels[:, number].sum())
        assert row["auc"] == pytest.approx(roc_auc(scores[:, number], labels[:, number]))
        assert row["average_precision"] == pytest.approx(average_precision(scores[:, number], labels[:, number]))
        assert row["auc_low"] < row["auc"] < row["auc_high"]
        assert row["average_precision_low"] < row["average_precision"] < row["average_precision_high"]
        assert row["note"] == ""


def test_the_interval_is_the_percentiles_of_resampled_aucs():
    """Against films really drawn, with the same random numbers."""
    scores, labels = films(80)
    random = np.random.default_rng(3)
    drawn = [random.integers(80, size=80) for _ in range(200)]
    expected = np.percentile([roc_auc(scores[draw, 0], labels[draw, 0]) for draw in drawn], (2.5, 97.5))
    row = classification_table(scores, labels, NAMES, resamples=200, seed=3)[0]
    np.testing.assert_allclose([row["auc_low"], row["auc_high"]], expected)


def test_about_95_of_100_intervals_hold_the_true_auc():
    """Two normal distributions one standard deviation apart: AUC = Phi(1 / sqrt 2)."""
    true = 0.5 * (1 + math.erf(0.5))
    held = 0
    for seed in range(100):
        scores, labels = films(80, seed)
        row = classification_table(scores[:, :1], labels[:, :1], NAMES[:1], resamples=200, seed=seed)[0]
        held += row["auc_low"] <= true <= row["auc_high"]
    assert 87 <= held <= 99


def test_copies_of_a_patients_film_do_not_narrow_the_interval():
    scores, labels = films(60)
    single = classification_table(scores, labels, NAMES, resamples=300)[0]
    copied, truth, patients = (np.repeat(values, 4, axis=0) for values in (scores, labels, np.arange(60)))
    by_film = classification_table(copied, truth, NAMES, resamples=300)[0]
    by_patient = classification_table(copied, truth, NAMES, [f"patient {p:02}" for p in patients], resamples=300)[0]
    assert width(by_film) == pytest.approx(width(single) / 2, rel=0.2)
    assert width(by_patient) == pytest.approx(width(single))


def test_resampling_draws_whole_groups_and_as_many_as_there_are():
    groups = ["b", "a", "b", "c", "b"]
    draws = bootstrap(lambda weights: weights, 5, groups, resamples=50)
    assert draws.shape == (50, 5)
    assert (draws[:, [2, 4]] == draws[:, :1]).all()
    assert (draws[:, [0, 1, 3]].sum(1) == 3).all()
    assert len(np.unique(draws, axis=0)) > 5


def test_a_seed_repeats_the_intervals_and_another_does_not():
    first, again, other = (classification_table(*films(40), NAMES, resamples=20, seed=seed) for seed in (0, 0, 1))
    assert first == again != other


def test_a_class_that_cannot_be_scored_keeps_its_row_and_says_why():
    scores, labels = films(30)
    labels[:, 1], labels[:, 2] = 0, 1
    rows = classification_table(scores, labels, NAMES, resamples=20)
    assert [row["note"] for row in rows] == ["", "no positives", "no negatives"]
    for row in rows[1:]:
        assert {row[key] for key in row if key.startswith(("auc", "average"))} == {None}
    assert (rows[1]["positives"], rows[1]["negatives"]) == (0, 30)
    json.dumps(rows, allow_nan=False)


def test_the_mean_leaves_such_a_class_out_and_names_it():
    scores, labels = films(50)
    labels[:, 1] = 0
    means = mean_scores(scores, labels, NAMES, resamples=100)
    assert (means["films"], means["classes"], means["left_out"]) == (50, 2, ["mass"])
    kept = [roc_auc(scores[:, number], labels[:, number]) for number in (0, 2)]
    assert means["mean_auc"] == pytest.approx(sum(kept) / 2)
    assert means["mean_auc_low"] < means["mean_auc"] < means["mean_auc_high"]
    assert "frequent_classes" not in means


def test_a_second_mean_over_frequent_classes():
    scores, labels = films(50)
    labels[:, 2] = 0
    labels[:9, 2] = 1
    frequent = mean_scores(scores, labels, NAMES, resamples=20, min_positives=10)["frequent_classes"]
    assert (frequent["min_positives"], frequent["classes"], frequent["left_out"]) == (10, 2, ["hernia"])
    expected = [roc_auc(scores[:, number], labels[:, number]) for number in (0, 1)]
    assert frequent["mean_auc"] == pytest.approx(sum(expected) / 2)
    assert mean_scores(scores, labels, NAMES, resamples=20, min_positives=9)["frequent_classes"]["left_out"] == []


def test_a_resample_that_loses_a_class_averages_the_others():
    """The one positive of the second class is in 63 % of the resamples: always above all others, or not counted."""
    scores, labels = films(40)
    labels[:, 1] = 0
    labels[5, 1], scores[5, 1] = 1, 9
    alone = classification_table(scores[:, :2], labels[:, :2], NAMES[:2], resamples=200)
    assert (alone[1]["auc_low"], alone[1]["auc"], alone[1]["auc_high"]) == (1, 1, 1)
    means = mean_scores(scores[:, :2], labels[:, :2], NAMES[:2], resamples=200)
    assert means["mean_auc"] == pytest.approx((alone[0]["auc"] + 1) / 2)
    assert alone[0]["auc_low"] <= means["mean_auc_low"] < (alone[0]["auc_low"] + 1) / 2


def test_nothing_to_score_gives_none():
    means = mean_scores(np.zeros((4, 1)), np.zeros((4, 1)), ["mass"], resamples=3, min_positives=1)
    empty = {"mean_auc": None, "mean_auc_low": None, "mean_auc_high": None, "classes": 0, "left_out": ["mass"]}
    assert means == {"films": 4, **empty, "frequent_classes": {"min_positives": 1, **empty}}


def test_a_model_does_not_differ_from_itself_whatever_the_scale():
    scores, labels = films(50)
    result = paired_difference(scores, np.exp(scores), labels, resamples=30)
    assert (result["difference"], result["difference_low"], result["difference_high"]) == (0, 0, 0)
    assert result["mean_auc_a"] == result["mean_auc_b"] == mean_scores(scores, labels, NAMES, resamples=1)["mean_auc"]


def test_pairing_finds_a_difference_that_separate_intervals_hide():
    scores, labels = films(150)
    better = scores + 0.2 * labels
    a, b = (mean_scores(values, labels, NAMES, resamples=300) for values in (better, scores))
    assert a["mean_auc_low"] < b["mean_auc_high"]
    result = paired_difference(better, scores, labels, resamples=300)
    assert result["difference"] == pytest.approx(a["mean_auc"] - b["mean_auc"])
    assert 0 < result["difference_low"] < result["difference"] < result["difference_high"]
    assert paired_difference(scores, better, labels, resamples=300)["difference_high"] < 0


def test_a_difference_over_patients_is_wider_than_over_their_copied_films():
    labels = films(50)[1]
    a, b, truth = (np.repeat(v, 4, axis=0) for v in (films(50, 0)[0], films(50, 1)[0], labels))
    by_film, by_patient = (
        paired_difference(a, b, truth, groups, resamples=200) for groups in (None, np.repeat(range(50), 4))
    )
    widths = [result["difference_high"] - result["difference_low"] for result in (by_film, by_patient)]
    assert widths[1] > 1.5 * widths[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ["edema"]}, "1 names do not match"),
        ({"probabilities": np.zeros((9, 3))}, r"scores \(9, 3\), labels \(10, 3\)"),
        ({"probabilities": np.full((10, 3), np.nan)}, "not finite"),
        ({"groups": [1, 2]}, "2 groups for 10 films"),
        ({"resamples": 0}, "at least one film and one resample"),
        ({"probabilities": np.zeros((0, 3)), "labels": np.zeros((0, 3))}, "at least one film"),
    ],
)
@pytest.mark.parametrize("scores_of", [classification_table, mean_scores])
def test_what_does_not_fit_is_refused(scores_of, changes, message):
    probabilities, labels = films(10)
    arguments = {"probabilities": probabilities, "labels": labels, "names": NAMES, "resamples": 2, **changes}
    with pytest.raises(UserError, match=message):
        scores_of(**arguments)


def test_the_training_metric_is_the_mean_over_scorable_classes_of_all_batches():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(30, 3, generator=generator), torch.randint(0, 2, (30, 3), generator=generator)
    labels[:, 1] = 0
    metric = MeanAUC()
    for start, stop in ((0, 16), (16, 29), (29, 30)):
        metric(logits[start:stop], labels[start:stop])
    expected = [roc_auc(logits[:, number], labels[:, number]) for number in (0, 2)]
    assert metric.aggregate() == pytest.approx(np.mean(expected))
    metric.reset()
    metric(logits, torch.zeros(30, 3))
    with pytest.raises(UserError, match="among 30 films: raise --validation_fraction"):
        metric.aggregate()
