"""The MRI benchmarks of the docs that train for an hour, in small: one seed, few epochs."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from benchmarks import hippocampus, hippocampus_ablations, levers, missing_sequences
from benchmarks.segmentation_runs import scan_dice
from monai_mae_ext.errors import UserError
from monai_mae_ext.phantoms import MODALITIES, write_brain_phantoms
from tests.volumes import write_hippocampi

NETWORK = {f"network_def#{name}": size for name, size in (("hidden_size", 48), ("mlp_dim", 96), ("num_heads", 4))}
pytestmark = [pytest.mark.bundle, pytest.mark.usefixtures("forked_bundles")]


def test_arms_are_trained_and_tested_with_each_sequence_missing(tmp_path: Path, monkeypatch, capsys) -> None:
    assert len(missing_sequences.CASES) == len(MODALITIES) + 1
    small = {"SEEDS": (0,), "N_TRAINING": 3, "N_VALIDATION": 1, "N_TEST": 2}
    small |= {"CASES": ("all sequences", "no T1gd"), "write_brain_phantoms": partial(write_brain_phantoms, spacing=6)}
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
    capsys.readouterr()
    missing_sequences.main(str(tmp_path), epochs=1)
    assert "training" not in capsys.readouterr().out, "what is done is not done again"


def test_encoders_are_pretrained_tuned_tested_and_compared_by_protocol(tmp_path: Path, monkeypatch) -> None:
    small: dict = {"SEEDS": (0,), "FEW": 1, "N_VALIDATION": 2, "N_TEST": 2}
    coarse = {"spacing": [10.0, 10.0, 10.0], "patch_size": 4} | NETWORK
    small["PRETRAINING"] = hippocampus.PRETRAINING | coarse | {"superpatch": [16, 16, 16], "epochs": 1}
    small["FINE_TUNING"] = hippocampus.FINE_TUNING | coarse | {"roi": [16, 16, 16]}
    frozen = hippocampus.PROTOCOLS["frozen encoder, head"]
    small["PROTOCOLS"] = {"frozen": frozen._replace(base_lrs=(0.1,))}
    for name, value in small.items():
        monkeypatch.setattr(hippocampus, name, value)
    data = write_hippocampi(tmp_path, 6)
    hippocampus.main(str(data), str(tmp_path / "out"), steps=1, protocols=("frozen",))
    reports = json.loads((tmp_path / "out" / "report.json").read_text())
    assert list(reports) == ["frozen, 1 labels", "frozen, 2 labels"] and (tmp_path / "out" / "report.png").is_file()
    for rows in reports.values():
        assert [row["arm"] for row in rows] == ["scratch", "self-pretrained"]
        assert all(0 <= row["mean"] <= 1 for row in rows)
    folders = [path.name for path in (tmp_path / "out" / "frozen_1_labels").iterdir()]
    assert sorted(folders) == ["scratch_lr0.1_seed0", "seed0_lr0.1_seed0", "seed1_lr0.1_seed0"]
    folder = tmp_path / "out" / "frozen_1_labels"
    log = (folder / "seed1_lr0.1_seed0" / "training.txt").read_text()
    assert "pretraining/seed1/encoder.safetensors" in log, "each arm starts from its own encoder"

    report = str(tmp_path / "out" / "report.json")
    monkeypatch.setattr(hippocampus_ablations, "PROTOCOL", "frozen")
    monkeypatch.setattr(hippocampus_ablations, "ABLATIONS", {"hidden50": {"mask_ratio": 0.5}})
    for name in ("PRETRAINING", "SEEDS", "FEW"):
        monkeypatch.setattr(hippocampus_ablations, name, small[name])
    hippocampus_ablations.main(str(data), str(tmp_path / "out"), report, steps=1)
    rows = {row["encoder"]: row for row in json.loads((tmp_path / "out" / "ablations.json").read_text())}
    assert list(rows) == ["scratch", "seed0", "hidden50"]
    assert rows["seed0"]["mask_ratio"] == 0.75 and rows["hidden50"]["mask_ratio"] == 0.5
    assert rows["seed0"]["mean"] == pytest.approx(scan_dice(folder / "seed0_lr0.1_seed0" / "test").mean())

    pair = {name: levers.LEVERS[name] for name in ("seed0", "cross_third")}
    own = {"PROTOCOL": "frozen", "LEVERS": pair, "ROUNDS": 1} | {
        key: small[key] for key in ("PRETRAINING", "SEEDS", "FEW")
    }
    for name, value in own.items():
        monkeypatch.setattr(levers, name, value)
    levers.main(str(data), str(tmp_path / "out"), report, steps=1)
    baseline, third = json.loads((tmp_path / "out" / "levers.json").read_text())
    assert baseline["equal epochs"]["dice"] == [rows["seed0"]["mean"]] and "equal time" not in baseline
    assert baseline["equal epochs"]["epochs"] == third["equal epochs"]["epochs"] == 1
    assert third["equal time"]["epochs"] == max(1, round(third["speedup"]))
    with pytest.raises(UserError, match=r"report.json has no table 'other, 1 labels': run benchmarks.hippocampus"):
        hippocampus.chosen_rates(report, "other")
