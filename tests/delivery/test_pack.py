"""Packing: the same bytes each time, with lists and sums, and nothing that does not fit."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from monai.bundle import ConfigWorkflow
from PIL import Image

import monai_mae_ext
from monai_mae_ext.delivery import CarriedCode, pack
from monai_mae_ext.delivery.archive import unpack
from monai_mae_ext.delivery.provenance import data_manifest
from monai_mae_ext.errors import UserError
from tests.delivery.conftest import TINY, copy_of, pack_tiny, set_version, write_weights

packing = sys.modules["monai_mae_ext.delivery.pack"]
PACKAGE = Path(monai_mae_ext.__file__).parent


def test_the_same_input_gives_the_same_bytes(zoo, tmp_path):
    name = "ct_superpatch_pretraining"
    bundle = copy_of(name, tmp_path)
    pack_tiny(bundle, tmp_path / "again", write_weights(bundle, tmp_path / "weights"))
    first, second = (folder / f"{name}_v0.1.0.zip" for folder in (zoo, tmp_path / "again"))
    assert first.read_bytes() == second.read_bytes()


def test_the_lists_name_every_zip_with_its_sum(zoo):
    info = json.loads((zoo / "model_info.json").read_text())
    assert sorted(info) == sorted(f"{name}_v0.1.0" for name in TINY)
    for line in (zoo / "SHA256SUMS").read_text().splitlines():
        checksum, name = line.split("  ")
        assert hashlib.sha256((zoo / name).read_bytes()).hexdigest() == checksum == info[name[:-4]]["checksum"]
        assert info[name[:-4]]["source"] == name
    page = (zoo / "index.html").read_text()
    for words in ("ct_multiorgan_segmentation 0.1.0", "Research. Not a medical device.", "MiB", "Apache"):
        assert words in page


def test_a_picture_and_scores_are_shown(tmp_path):
    name = "mri_tumor_segmentation"
    bundle = copy_of(name, tmp_path)
    (tmp_path / "evaluation.json").write_text('{"scans": 6, "mean_dice": 0.81234, "classes": []}')
    Image.new("RGB", (4, 4)).save(tmp_path / "overlay.png")
    pack(
        str(bundle), str(tmp_path / "zoo"), str(write_weights(bundle, tmp_path / "weights")), "tiny", "nine brains",
        None, str(tmp_path / "evaluation.json"), str(tmp_path / "overlay.png"), "https://example.org/zoo/",
    )  # fmt: skip
    page = (tmp_path / "zoo" / "index.html").read_text()
    assert "data:image/png;base64," in page and "mean_dice 0.8123" in page and "nine brains" in page
    unpack(tmp_path / "zoo" / f"{name}_v0.1.0.zip", tmp_path / "home", name)
    card = (tmp_path / "home" / name / "docs" / "README.md").read_text()
    assert "Trained on nine brains." in card and "| `mean_dice` | 0.8123 |" in card
    (listed,) = json.loads((tmp_path / "zoo" / "model_info.json").read_text()).values()
    assert listed["source"] == f"https://example.org/zoo/{name}_v0.1.0.zip"


def test_provenance_tells_data_apart_by_content(tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.nii").write_bytes(b"1")
    first = data_manifest(tmp_path / "scans")
    assert first["files"] == 1 and "a.nii" not in json.dumps(first)
    (tmp_path / "scans" / "a.nii").write_bytes(b"2")
    assert data_manifest(tmp_path / "scans")["sha256"] != first["sha256"]
    with pytest.raises(UserError, match="no data set at"):
        data_manifest(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": "weights"}, "say with --data_source"),
        ({"weights": "weights", "data_source": "x"}, "holds another architecture"),
        ({"weights": "nowhere", "data_source": "x", "overlays": "tiny"}, "no checkpoint at nowhere"),
        ({"overlays": "tyni"}, "no overlay at .*tyni.json: correct the name"),
    ],
)
def test_what_does_not_fit_is_not_packed(options, words, tmp_path, monkeypatch):
    bundle = copy_of("mri_tumor_segmentation", tmp_path)
    write_weights(bundle, tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words):
        pack(str(bundle), "zoo", **options)
    assert not (tmp_path / "zoo").exists()


def test_a_bundle_with_findings_is_not_packed(tmp_path):
    bundle = copy_of("mri_tumor_segmentation", tmp_path)
    (bundle / "LICENSE").unlink()
    with pytest.raises(UserError, match="has 1 findings: mend what"):
        pack(str(bundle), str(tmp_path / "zoo"))


def test_bundles_in_one_process_run_each_its_own_code(tmp_path, monkeypatch):
    """The same bundle with the code of two versions, and the installed package untouched by both."""
    newer = tmp_path / "newer"
    shutil.copytree(PACKAGE, newer, ignore=shutil.ignore_patterns("__pycache__"))
    (newer / "__init__.py").write_text('"""Newer."""\n\n__version__ = "9.9.9"\n')
    name = "mri_tumor_segmentation"
    bundle = copy_of(name, tmp_path / "source")
    weights = write_weights(bundle, tmp_path / "weights")
    workflows = []
    for version, package in (("0.1.0", PACKAGE), ("0.2.0", newer)):
        monkeypatch.setattr(packing, "CarriedCode", functools.partial(CarriedCode, package))
        set_version(bundle, version)
        pack_tiny(bundle, tmp_path / "zoo", weights)
        unpack(tmp_path / "zoo" / f"{name}_v{version}.zip", tmp_path / version, name)
        root = tmp_path / version / name
        workflow = ConfigWorkflow(str(root / "configs" / "inference.json"), bundle_root=str(root), logging_file=False)
        workflow.initialize()
        workflows.append(workflow)
    codes = [workflow.parser.get_parsed_content("code") for workflow in workflows]
    assert [code.__version__ for code in codes] == [monai_mae_ext.__version__, "9.9.9"]
    for workflow, code in zip(workflows, codes, strict=True):
        assert type(workflow.network_def).__module__ == f"{code.__name__}.networks.segmenter"
    assert sys.modules["monai_mae_ext"] is monai_mae_ext


def test_a_release_has_every_bundle():
    told = subprocess.run(["make", "-n", "release"], cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    assert sorted(re.findall(r" pack bundles/(\w+) ", told.stdout)) == sorted(TINY)
