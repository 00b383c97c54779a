"""The benchmark of the docs that trains for an hour, in small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NETWORK = {f"network_def#{name}": size for name, size in (("hidden_size", 48), ("mlp_dim", 96), ("num_heads", 4))}


@pytest.mark.usefixtures("forked_bundles")
def test_strategies_start_alike_and_pick_by_their_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("monailabel", reason="MONAI Label is not installed")
    from benchmarks import active_learning

    small: dict = {"N_POOL": 5, "N_VALIDATION": 1, "N_TEST": 1, "FIRST": 1, "STEP": 1, "ROUNDS": 2, "SEEDS": (0,)}
    coarse = {"spacing": [10.0] * 3, "patch_size": 4, **NETWORK}
    small["SETTINGS"] = {
        active_learning.MAE: coarse | {"superpatch": [16] * 3},
        active_learning.SEGMENTER: coarse | {"roi": [16] * 3},
    }
    for name, value in small.items():
        monkeypatch.setattr(active_learning, name, value)
    active_learning.main(str(tmp_path), steps=1, pretraining_epochs=1)
    curves = json.loads((tmp_path / "report.json").read_text())
    assert list(curves) == list(active_learning.STRATEGIES) and (tmp_path / "report.png").is_file()
    assert len({dice[0] for (dice,) in curves.values()}) == 1, "the first round is the same"
    (scores,) = (tmp_path / "first" / "seed0" / "labels1" / "entropy").glob("scores_*.json")
    best = max(json.loads(scores.read_text()).items(), key=lambda item: item[1]["score"])[0]
    lists = json.loads((tmp_path / "entropy" / "seed0" / "labels2" / "data" / "dataset.json").read_text())
    assert lists["training"][1]["image"] == best
