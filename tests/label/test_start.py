"""What a user is told when a label server cannot start, and which bundles it finds."""

from __future__ import annotations

import importlib.util
import os

import pytest

from monai_mae_ext.errors import UserError
from monai_mae_ext.label.bundle import LabelBundle
from monai_mae_ext.label.server import find_bundles, start_label_server
from tests.delivery.conftest import copy_of
from tests.delivery.small_bundle import write_bundle

CT = "ct_multiorgan_segmentation"


def test_without_monai_label_one_line_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install --no-deps monailabel==") as caught:
        start_label_server(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_studies_must_be_there(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(UserError, match="no folder .*scans: pass --studies"):
        start_label_server(str(tmp_path / "scans"))


def test_bundles_of_a_folder_stay_in_their_place(tmp_path):
    folder = copy_of(CT, tmp_path)
    assert find_bundles(tmp_path, [], tmp_path / "room") == [folder]
    assert not (tmp_path / "room").exists()


def test_bundles_of_a_zoo_are_unpacked_once(zoo, tmp_path):
    [folder] = find_bundles(zoo, [CT], tmp_path)
    assert folder == tmp_path / "model" / CT
    (folder / "models" / "model.pt").write_text("trained since")
    assert find_bundles(zoo, [CT], tmp_path) == [folder]
    assert (folder / "models" / "model.pt").read_text() == "trained since"


@pytest.mark.parametrize(
    ("names", "words"), [(["liver"], f"no bundle liver in .*: there are {CT}"), ([], "no bundles in .*nothing")]
)
def test_missing_bundles_are_told(tmp_path, names, words):
    copy_of(CT, tmp_path)
    with pytest.raises(UserError, match=words):
        find_bundles(tmp_path if names else tmp_path / "nothing", names, tmp_path)


def test_overlays_must_be_there(tmp_path):
    with pytest.raises(UserError, match=f"no .*{CT}.configs.slow.json"):
        LabelBundle(copy_of(CT, tmp_path), ["slow"])


def test_bundles_of_others_are_refused(tmp_path):
    folder = write_bundle(tmp_path / "seg")
    with pytest.raises(UserError, match="has a network UNet, the label server takes ViTSegmenter"):
        LabelBundle(folder)


def test_nothing_is_set_in_the_environment_when_the_start_fails(tmp_path):
    with pytest.raises(UserError):
        start_label_server(str(tmp_path), bundles=str(tmp_path / "nothing"))
    assert "MONAI_LABEL_STUDIES" not in os.environ
