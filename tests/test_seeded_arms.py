"""The comparison that the benchmarks' tables rest on."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.seeded_arms import compare, markdown, save_dots
from monai_mae_ext.metrics import roc_auc


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    """Three arms on 200 films: a baseline, one equal to it, and one that knows more."""
    random = np.random.default_rng(0)
    labels = random.integers(2, size=(200, 3))
    noise = random.normal(size=(3, 200, 3))
    arms = {
        "scratch": list(noise + 0.5 * labels),
        "same": list(noise + 0.5 * labels),
        "better": list(noise + 1.5 * labels),
    }
    rows = compare(arms, labels, [str(number // 2) for number in range(200)], "scratch")
    expected = [np.mean([roc_auc(seed[:, n], labels[:, n]) for n in range(3)]) for seed in arms["better"]]
    assert rows[2]["seeds"] == pytest.approx(expected)
    return rows


def test_equal_arms_differ_by_nothing_and_a_better_one_by_more_than_its_interval(rows):
    baseline, same, better = rows
    assert "difference" not in baseline and baseline["mean"] == pytest.approx(np.mean(baseline["seeds"]))
    assert same["difference"] == same["difference_low"] == same["difference_high"] == 0
    assert 0 < better["difference_low"] < better["difference"] < better["difference_high"]
    assert better["difference"] == pytest.approx(better["mean"] - baseline["mean"])


def test_the_table_says_what_was_not_shown(rows):
    lines = markdown(rows, "scratch").splitlines()
    assert lines[3].endswith("| no effect shown |") and lines[4].endswith("| better |")


def test_the_figure_is_drawn(rows, tmp_path):
    save_dots(tmp_path / "dots.png", {"one": rows, "two": rows}, "mean AUC")
    assert (tmp_path / "dots.png").stat().st_size > 5000
