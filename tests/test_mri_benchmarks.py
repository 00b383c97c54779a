"""The MRI benchmarks of the docs that train for an hour, in small: one seed, few epochs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import missing_sequences
from monai_mae_ext.phantoms import MODALITIES

ROOT = Path(__file__).parents[1]
NETWORK = {f"network_def#{name}": size for name, size in (("hidden_size", 48), ("mlp_dim", 96), ("num_heads", 4))}
pytestmark = pytest.mark.bundle


def test_arms_are_trained_and_tested_with_each_sequence_missing(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(ROOT)
    small = {"SEEDS": (0,), "N_TRAINING": 3, "N_VALIDATION": 1, "N_TEST": 2}
    small["SETTINGS"] = {"spacing": [10, 10, 10], "roi": [16, 16, 16], "patch_size": 4} | NETWORK
    for name, value in small.items():
        monkeypatch.setattr(missing_sequences, name, value)
    missing_sequences.main(str(tmp_path), epochs=1)
    rows = json.loads((tmp_path / "report.json").read_text())
    assert [row["arm"] for row in rows] == list(missing_sequences.ARMS)
    assert all(0 <= row[case] <= 1 for row in rows for case in missing_sequences.CASES)
    folder = tmp_path / "with_dropout" / "seed0"
    assert "has no T1gd: zeros take the place" in (folder / "no_T1gd.txt").read_text()
    assert "has no" not in (folder / "all_sequences.txt").read_text()
    assert len(missing_sequences.CASES) == len(MODALITIES) + 1
    capsys.readouterr()
    missing_sequences.main(str(tmp_path), epochs=1)
    assert "trained" not in capsys.readouterr().out, "what is done is not done again"
