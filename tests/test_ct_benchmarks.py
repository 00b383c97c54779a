"""The CT benchmarks of the docs that train for an hour, in small: one seed, few epochs, one candidate an arm."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks import few_labels, reconstruction
from benchmarks.reconstruction import Arm
from benchmarks.seeded_arms import compare_scans
from monai_mae_ext.errors import UserError
from monai_mae_ext.phantoms import write_abdomen_phantoms

TINY = {"spacing": [10, 10, 10], "patch_size": 4, "batch_size": 2}
NETWORK = {f"network_def#{name}": size for name, size in (("hidden_size", 48), ("mlp_dim", 96), ("num_heads", 4))}
pytestmark = [pytest.mark.bundle, pytest.mark.usefixtures("forked_bundles")]


def test_encoders_are_pretrained_tuned_tested_and_compared(tmp_path: Path, monkeypatch, capsys) -> None:
    small = {"SEEDS": (0,), "LABELS": (2,), "TUNED_WITH": 2, "BASE_LRS": (0.1,)}
    small |= {"N_TRAINING": 4, "N_VALIDATION": 1, "N_TEST": 1}
    small["write_abdomen_phantoms"] = partial(write_abdomen_phantoms, spacing=6)
    small["PRETRAINING"] = TINY | NETWORK | {"superpatch": [16, 16, 16]}
    small["FINE_TUNING"] = TINY | NETWORK | {"roi": [16, 16, 16]}
    for name, value in small.items():
        monkeypatch.setattr(few_labels, name, value)
    few_labels.main(str(tmp_path), pretraining_epochs=2, steps=2)
    (rows,) = json.loads((tmp_path / "report.json").read_text()).values()
    assert [row["arm"] for row in rows] == list(few_labels.ARMS) and (tmp_path / "report.png").is_file()
    assert all(0 <= row["mean"] <= 1 and row["labels"] == 2 for row in rows)
    log = next((tmp_path / "self-pretrained_2").rglob("training.txt")).read_text()
    assert "seed0/encoder.safetensors" in log, "the arm starts from its encoder"
    capsys.readouterr()
    few_labels.main(str(tmp_path), pretraining_epochs=2, steps=2)
    assert "training" not in capsys.readouterr().out, "what is done is not done again"
    with pytest.raises(UserError, match="made with other settings"):
        few_labels.main(str(tmp_path), pretraining_epochs=2, steps=4)


def test_reconstructions_are_trained_tuned_tested_and_tabulated(volumes: Path, tmp_path: Path, monkeypatch) -> None:
    lists = json.loads((volumes / "dataset.json").read_text())
    whole = {"training": lists["training"], "validation": lists["test"]}
    whole = {
        name: [{key: str(volumes / path) for key, path in item.items()} for item in items]
        for name, items in whole.items()
    }
    (tmp_path / "dataset.json").write_text(json.dumps(whole))
    monkeypatch.setattr(reconstruction, "SEEDS", (0,))
    monkeypatch.setattr(reconstruction, "N_VALIDATION", 1)
    monkeypatch.setattr(reconstruction, "MIN_EPOCHS", 2)
    monkeypatch.setattr(reconstruction, "SETTINGS", TINY | {"superpatch": [16, 16, 16], "warmup_epochs": 0})
    arms = {
        "MAE": Arm(("predict_all",), NETWORK, (0.1,)),
        "AE": Arm(("baseline_ae",), {"network_def#channels": [8, 16]}, (0.1,)),
    }
    monkeypatch.setattr(reconstruction, "ARMS", arms)
    reconstruction.main(str(tmp_path), str(tmp_path / "out"), seconds=0)
    rows = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [row["arm"] for row in rows] == ["MAE", "AE"] and all(row["psnr_unmasked"]["mean"] > 0 for row in rows)
    assert (tmp_path / "out" / "comparison.png").is_file()
    table = reconstruction.markdown(rows).splitlines()
    assert len(table) == 5 and all(line.count("|") == table[0].count("|") for line in table)
    roles = json.loads((tmp_path / "out" / "data" / "dataset.json").read_text())
    assert [len(roles[name]) for name in ("training", "validation", "test")] == [4, 1, 2]


def test_scans_and_seeds_are_drawn_for_the_interval_of_a_paired_difference() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(0.5, 0.2, 12)  # scans differ much, arms little: only pairing can tell them apart
    arms = {"scratch": hard + rng.normal(0, 0.01, (3, 12)), "better": hard + 0.05 + rng.normal(0, 0.01, (3, 12))}
    arms["same"] = arms["scratch"]
    baseline, better, same = compare_scans(arms, "scratch")
    assert baseline["seeds"] == pytest.approx(arms["scratch"].mean(1))
    assert 0.03 < better["difference_low"] < better["difference"] < better["difference_high"] < 0.07
    assert same["difference_low"] == same["difference_high"] == 0
