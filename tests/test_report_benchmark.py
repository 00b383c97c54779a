"""The benchmark of report generation, in small: one seed, few films, few epochs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import report_generation

SIZES = {"hidden_size": 48, "mlp_dim": 96, "num_layers": 2, "num_heads": 4}
NETWORK = {f"network_def#{name}": size for name, size in SIZES.items()}
SMALL = {"batch_size": 4, "image_size": 64} | NETWORK
pytestmark = [pytest.mark.bundle, pytest.mark.usefixtures("forked_bundles")]


def test_arms_are_trained_with_few_and_all_reports_and_compared(tmp_path: Path, monkeypatch, capsys) -> None:
    small: dict = {"SEEDS": (0,), "FRACTIONS": (0.5, 1.0), "ENCODER_LRS": (0.001,), "N_FILMS": 70, "SIZE": 64}
    small["PRETRAINING"] = SMALL | {"validation_fraction": 0.3}
    small["FINE_TUNING"] = SMALL | {"min_count": 1, "network_def#text_width": 24, "network_def#text_heads": 4}
    for name, value in small.items():
        monkeypatch.setattr(report_generation, name, value)
    report_generation.main(str(tmp_path), pretraining_epochs=1, epochs=1)
    tables = json.loads((tmp_path / "report.json").read_text())
    assert list(tables) == ["50%", "100%"] and (tmp_path / "report.png").is_file()
    for rows in tables.values():
        assert [row["arm"] for row in rows] == ["scratch", "self-pretrained"]
        assert all(0 <= row[key] <= 1 for row in rows for key in ("bleu_4", "constant_bleu_4", "shuffled_finding_f1"))
    for share in ("50%", "100%"):
        log = (tmp_path / f"self-pretrained_{share}" / "lr0.001_seed0" / "training.txt").read_text()
        assert "pretraining/seed0/encoder.safetensors" in log
    steps = [
        (tmp_path / f"scratch_{share}" / "lr0.001_seed0" / "train" / "history.csv").read_text().count("\n")
        for share in ("50%", "100%")
    ]
    assert steps[0] > steps[1], "few reports are read more often"
    capsys.readouterr()
    report_generation.main(str(tmp_path), pretraining_epochs=1, epochs=1)
    assert "training" not in capsys.readouterr().out, "what is done is not done again"
