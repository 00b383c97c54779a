"""The benchmark of data loading, in small."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import data_loading


def test_arms_walk_two_epochs_over_the_same_files(tmp_path: Path, capsys) -> None:
    arms = ("MONAI PersistentDataset", "ours, on disk")
    data_loading.main(str(tmp_path), films=20, volumes=4, arms=arms)
    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report) == ["films", "volumes"]
    for kind in report.values():
        assert [arm["arm"] for arm in kind["arms"]] == list(arms)
        assert all(len(arm["seconds"]) == 2 and min(arm["seconds"]) > 0 for arm in kind["arms"])
        assert len({arm["batches"] for arm in kind["arms"]}) == 1
    assert data_loading.loader_of(data_loading.KINDS["films"], tmp_path / "20_films", arms[0], tmp_path).dataset[19]
    assert not (tmp_path / "cache").exists(), "each arm starts with an empty cache"
    assert "20 films | ours, on disk" in capsys.readouterr().out
