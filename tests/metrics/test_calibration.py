from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
from scipy.special import expit

from monai_mae_ext.errors import UserError
from monai_mae_ext.metrics import Calibration, expected_calibration_error, f1_thresholds
from monai_mae_ext.metrics.calibration import fit_temperature, reliability_bins, youden_thresholds

NAMES = ("edema", "mass")


@pytest.fixture
def calibrated():
    """Logits ``(4000, 2)`` that are right about their labels."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 2)) * 2 - (0, 1)
    return logits, (random.random(logits.shape) < expit(logits)).astype(int)


@pytest.mark.parametrize("factor", [0.5, 1, 3])
def test_the_temperature_undoes_a_known_factor(calibrated, factor):
    logits, labels = calibrated
    assert fit_temperature(logits * factor, labels) == pytest.approx(factor, rel=0.05)


def test_the_temperature_has_the_least_cross_entropy(calibrated):
    logits, labels = calibrated
    best = fit_temperature(logits, labels)

    def loss(temperature):
        return torch.nn.functional.binary_cross_entropy_with_logits(
            torch.from_numpy(logits / temperature), torch.from_numpy(labels).double()
        ).item()

    assert loss(best) < min(loss(best * 1.01), loss(best / 1.01))


def test_huge_logits_do_not_overflow():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        logits = np.array([[5000.0], [-5000], [4000], [-4000]])
        with pytest.warns(UserWarning, match="do not trust it"):
            assert fit_temperature(logits, [[1], [0], [0], [1]]) == pytest.approx(20, rel=1e-3)


@pytest.mark.parametrize(("sign", "end"), [(1, 0.05), (-1, 20)])
def test_perfect_and_perverse_logits_end_at_a_bound_with_a_warning(sign, end):
    logits = np.linspace(-1, 1, 40)[:, None]
    with pytest.warns(UserWarning, match="temperature .* do not trust it"):
        assert fit_temperature(sign * logits, logits > 0) == pytest.approx(end, rel=1e-3)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([[0.1], [0.2]], [[0], [0]], "positive and negative labels"),
        ([[0.1], [0.2]], [[1], [1]], "positive and negative labels"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "a label for each output"),
        ([[0.1], [0.2]], [[0, 1]], "a label for each output"),
        ([[0.1], [np.nan]], [[0], [1]], "not finite"),
    ],
)
def test_nothing_to_fit_is_refused(logits, labels, message):
    with pytest.raises(UserError, match=message):
        fit_temperature(logits, labels)


def test_thresholds_separate_separable_classes_midway():
    probabilities = np.array([[0.1, 0.9], [0.2, 0.6], [0.6, 0.5], [0.9, 0.1]])
    labels = np.array([[0, 1], [0, 0], [1, 0], [1, 0]])
    thresholds = youden_thresholds(probabilities, labels)
    assert thresholds == pytest.approx([0.4, 0.75])
    np.testing.assert_array_equal(probabilities >= thresholds, labels == 1)


def test_the_best_threshold_by_hand():
    """Falling scores + + - + - -, with a tie: J is 1/3, 1/3 (tie of + and -), 2/3, 1/3, 0 below 9, 7, 5, 3, 1."""
    scores = np.array([9, 7, 7, 5, 3, 1])[:, None] / 10
    assert youden_thresholds(scores, np.array([1, 1, 0, 1, 0, 0])[:, None]) == [pytest.approx(0.4)]


def test_no_other_threshold_is_better():
    random = np.random.default_rng(0)
    labels = (random.random((200, 1)) < 0.3).astype(int)
    probabilities = expit(random.normal(size=(200, 1)) + labels)

    def youden(threshold):
        called = probabilities >= threshold
        return called[labels == 1].mean() - called[labels == 0].mean()

    (best,) = youden_thresholds(probabilities, labels)
    assert best not in probabilities
    assert youden(best) == pytest.approx(max(youden(value) for value in probabilities.ravel()))


def test_no_threshold_where_there_is_nothing_to_decide():
    probabilities = np.array([[0.1, 0.1, 0.9, 0.5], [0.9, 0.9, 0.1, 0.5]])
    labels = np.array([[0, 1, 0, 0], [0, 1, 1, 1]])
    assert youden_thresholds(probabilities, labels) == [None] * 4


def test_no_other_common_threshold_has_a_higher_f1(calibrated):
    logits, labels = (part[:200] for part in calibrated)
    probabilities = expit(logits)

    def f1(threshold):
        positive = probabilities >= threshold
        return 2 * (positive & (labels == 1)).sum() / (positive.sum() + labels.sum())

    first, second = f1_thresholds(probabilities, labels)
    assert first == second and f1(first) == max(f1(threshold) for threshold in [0, *probabilities.ravel()])
    assert f1_thresholds([[0.2, 0.4], [0.1, 0.8]], [[1, 1], [1, 1]]) == [0.1, 0.1]


def test_a_neutral_calibration_changes_nothing(tmp_path):
    neutral = Calibration.neutral(NAMES)
    neutral.save(tmp_path / "calibration.json")
    assert Calibration.load(tmp_path / "calibration.json", NAMES) == neutral and neutral.thresholds == (0.5, 0.5)
    np.testing.assert_array_equal(neutral.apply(np.array([-1.0, 2.0])), expit([-1.0, 2.0]))


def test_calibration_error_by_hand():
    """Bins (0.1, 0.3: none positive) and (0.6, 0.8: all positive): |0.2 - 0| and |0.7 - 1|, equal weights."""
    probabilities, labels = [[0.8], [0.1], [0.6], [0.3]], [[1], [0], [1], [0]]
    probability, frequency, count = reliability_bins(probabilities, labels, bins=2)
    np.testing.assert_allclose([probability, frequency, count], [[0.2, 0.7], [0, 1], [2, 2]])
    assert expected_calibration_error(probabilities, labels, bins=2) == pytest.approx(0.25)


def test_bins_have_equal_mass_and_lose_no_entry():
    probabilities = np.random.default_rng(0).random((700, 3)) ** 4
    probability, _, count = reliability_bins(probabilities, probabilities < 0.5)
    assert count.tolist() == [140] * 15
    assert (np.diff(probability) > 0).all()
    assert np.average(probability, weights=count) == pytest.approx(probabilities.mean())


def test_equal_probabilities_share_a_bin_whatever_the_order_of_the_labels():
    labels = np.repeat([0, 1], 50)[:, None]
    assert expected_calibration_error(np.full((100, 1), 0.5), labels) == 0


def test_the_temperature_lowers_the_calibration_error(calibrated):
    logits, labels = calibrated
    calibration = Calibration.fit(3 * logits, labels, NAMES)
    before = expected_calibration_error(expit(3 * logits), labels)
    assert before > 0.08
    assert expected_calibration_error(calibration.apply(3 * logits), labels) < 0.2 * before


def test_a_calibration_holds_the_facts_of_its_split(calibrated):
    logits, labels = calibrated
    calibration = Calibration.fit(torch.from_numpy(logits), torch.from_numpy(labels), NAMES)
    assert calibration.label_names == NAMES
    assert (calibration.films, calibration.positives) == (4000, tuple(labels.sum(0)))
    assert calibration.temperature == fit_temperature(logits, labels)
    assert list(calibration.thresholds) == youden_thresholds(calibration.apply(logits), labels)


def test_arrays_and_tensors_get_the_same_probabilities():
    calibration = Calibration(NAMES, 2.0, (0.5, None), 10, (5, 0))
    logits = torch.tensor([[0.0, 2.0], [-4.0, 40.0]])
    expected = [[0.5, expit(1)], [expit(-2), expit(20)]]
    torch.testing.assert_close(calibration.apply(logits), torch.tensor(expected, dtype=torch.float32))
    np.testing.assert_allclose(calibration.apply(logits.numpy()), expected, rtol=1e-6)
    assert calibration.apply(logits.bfloat16()).dtype == torch.float32


def test_saved_and_loaded_it_is_the_same(tmp_path):
    calibration = Calibration(NAMES, 1.7, (0.25, None), 10, (5, 0))
    path = tmp_path / "models" / "calibration.json"
    calibration.save(path)
    assert Calibration.load(path, list(NAMES)) == calibration
    assert [file.name for file in path.parent.iterdir()] == ["calibration.json"]


@pytest.mark.parametrize("names", [("mass", "edema"), ("edema",), ("edema", "nodule")])
def test_the_calibration_of_another_classifier_is_refused(tmp_path, names):
    path = tmp_path / "calibration.json"
    Calibration(NAMES, 1.7, (0.25, None), 10, (5, 0)).save(path)
    with pytest.raises(UserError, match=r"calibration.json is for the labels \['edema', 'mass'\].*fit it again"):
        Calibration.load(path, names)


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0},
        {"temperature": float("nan")},
        {"temperature": "hot"},
        {"thresholds": [0.5]},
        {"thresholds": [0.5, 1.5]},
        {"thresholds": None},
        {"unknown": 1},
    ],
)
def test_a_malformed_file_is_refused_by_name_and_with_the_cure(tmp_path, changes):
    path = tmp_path / "calibration.json"
    Calibration(NAMES, 1.7, (0.25, None), 10, (5, 0)).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(UserError, match="calibration.json is no calibration .*fit it again on the validation split"):
        Calibration.load(path, NAMES)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", "\x00"])
def test_a_missing_or_broken_file_is_refused(tmp_path, text):
    path = tmp_path / "calibration.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match="calibration.json is no calibration .*fit it again on the validation split"):
        Calibration.load(path, NAMES)
