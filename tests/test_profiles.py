"""The benchmark that tells where trainings spend their time, in small."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import profiles

TINY = str(Path(__file__).parent / "bundles" / "tiny.json")


def test_waiting_and_operators_are_shares(tmp_path: Path, films: Path, monkeypatch) -> None:
    monkeypatch.setattr(profiles, "PHANTOMS", {"cxr": lambda folder: folder.symlink_to(films)})
    (tmp_path / "data").mkdir()
    profiles.main(str(tmp_path), ("bundles/cxr_mae_pretraining",), threads=1, overlays=(TINY,))
    (row,) = json.loads((tmp_path / "report.json").read_text())
    assert row["bundle"] == "cxr_mae_pretraining" and row["step_seconds"] > 0
    assert len(row["waiting"]) == 3 and all(0 <= share < 1 for share in row["waiting"])
    shares = [share for _, share in row["operators"]]
    assert len(shares) == profiles.OPERATORS and shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1
