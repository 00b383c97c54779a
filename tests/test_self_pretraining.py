"""The benchmark of the docs that trains for hours, in small: one seed, one epoch, one candidate an arm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import self_pretraining
from benchmarks.self_pretraining import Protocol
from monai_mae_ext.handlers.history import read_history

ONE_EPOCH = {"epochs": 1, "warmup_epochs": 0, "val_interval": 1, "batch_size": 8}
pytestmark = [pytest.mark.bundle, pytest.mark.usefixtures("forked_bundles")]


def test_arms_are_pretrained_tuned_tested_and_compared(films: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(self_pretraining, "SEEDS", (0,))
    monkeypatch.setattr(self_pretraining, "MIN_POSITIVES", 1)
    monkeypatch.setattr(self_pretraining, "PRETRAINING", self_pretraining.PRETRAINING | ONE_EPOCH)
    monkeypatch.setattr(self_pretraining, "FINE_TUNING", ONE_EPOCH | {"validation_fraction": 0.4})
    monkeypatch.setattr(self_pretraining, "PROTOCOLS", {"fine-tuned": Protocol((), (0.012,), (1.0,))})
    self_pretraining.main(str(films), str(tmp_path), ("fine-tuned",))
    (rows,) = json.loads((tmp_path / "report.json").read_text()).values()
    assert [row["arm"] for row in rows] == ["scratch", "random", "context"]
    assert all(0 <= row["mean"] <= 1 for row in rows) and (tmp_path / "report.png").is_file()
    logs = {arm: (tmp_path / "pretraining" / f"{arm}_seed0" / "log.txt").read_text() for arm in ("random", "context")}
    assert "central box" not in logs["random"]
    tables = [read_history(tmp_path / "pretraining" / f"{arm}_seed0" / "history.csv") for arm in logs]
    assert len({table[-1]["train_loss"] for table in tables}) == 2, "the arms hide different tokens"
    capsys.readouterr()
    self_pretraining.main(str(films), str(tmp_path), ("fine-tuned",))
    assert "training" not in capsys.readouterr().out, "what is done is not done again"
