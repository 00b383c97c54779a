"""No process overwrites what another added to the studies' list, and a kill leaves no half of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monai_mae_ext import files
from tests.label.conftest import NEEDED

StudiesFolder = pytest.importorskip("monai_mae_ext.label.datastore", reason=NEEDED).StudiesFolder


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("a.nii.gz", "b.nii.gz"):
        (tmp_path / name).write_bytes(b"image")
    return tmp_path


def listed(folder: Path) -> dict:
    return json.loads((folder / "datastore_v2.json").read_text())["objects"]


def test_what_one_process_added_stays_when_another_writes(folder, tmp_path_factory):
    label = tmp_path_factory.mktemp("label") / "label.nii.gz"
    label.write_bytes(b"label")
    server, batch = (StudiesFolder(str(folder), extensions=["*.nii.gz"]) for _ in range(2))
    server.save_label("a", str(label), "final", {"label_info": [{"name": "spleen"}]})
    batch.save_label("b", str(label), "original", {})
    server.update_image_info("b", {"note": "seen"})
    batch.update_label_info("a", "final", {"by": "batch"})
    objects = listed(folder)
    assert objects["a"]["labels"]["final"]["info"]["label_info"] == [{"name": "spleen"}]
    assert objects["a"]["labels"]["final"]["info"]["by"] == "batch"
    assert objects["b"]["labels"].keys() == {"original"} and objects["b"]["image"]["info"]["note"] == "seen"
    assert batch.add_image("c", str(folder / "a.nii.gz"), {}) == "c"
    assert set(server.list_images()) == {"a", "b"}
    server.refresh()
    assert set(server.list_images()) == {"a", "b", "c"}


def test_a_kill_while_the_list_is_written_leaves_the_old_one(folder, monkeypatch):
    store = StudiesFolder(str(folder), extensions=["*.nii.gz"])
    before = listed(folder)

    class Killed(BaseException):
        pass

    def die(*words: object) -> None:
        raise Killed

    monkeypatch.setattr(files.os, "replace", die)
    with pytest.raises(Killed):
        store.update_image_info("a", {"note": "lost"})
    assert listed(folder) == before
    monkeypatch.undo()
    assert set(StudiesFolder(str(folder), extensions=["*.nii.gz"]).list_images()) == {"a", "b"}
