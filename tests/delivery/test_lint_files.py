"""Faults of the files beside the configurations, of large files and of weights."""

from __future__ import annotations

import shutil

import pytest

from monai_mae_ext.delivery import findings
from tests.delivery.small_bundle import CARD, LARGE, assert_findings, write_json


def test_faults_of_files(bundle):
    (bundle / "LICENSE").rename(bundle / "LICENSE.txt")
    (bundle / "docs/data_license.txt").unlink()
    (bundle / "docs/README.md").write_text(CARD.replace("## How to cite", "").replace("**Hardware.**", "Hardware."))
    shutil.move(bundle, bundle.with_name("Seg_vit"))
    assert_findings(
        findings(bundle.with_name("Seg_vit")),
        (".", "", "the name Seg_vit has capitals; use small letters"),
        (".", "", "MONAI takes what follows _v for a version"),
        ("LICENSE", "", "exactly this name"),
        ("docs/data_license.txt", "", "which terms"),
        ("docs/README.md", "citation", "cite or references or citation"),
        ("docs/README.md", "compute", "compute or hardware"),
    )


@pytest.mark.parametrize(
    ("entry", "key", "words"),
    [
        ({}, None, None),
        ({"hash_type": "md5", "hash_val": "0" * 32}, "hash_type", "is md5, which is broken and not MONAI's default"),
        ({"hash_type": None}, "hash_type", "is None, not 'sha256'"),
        ({"hash_val": "0" * 32}, "hash_val", "64 hexadecimal digits"),
        ({"hash_val": None}, "hash_val", "MONAI would take any file"),
        ({"url": "http://host/model.pt"}, "url", "serve the file by https"),
        ({"path": "models/../../model.pt"}, "path", "not a path inside the bundle"),
        ({"path": "/models/model.pt"}, "path", "not a path inside the bundle"),
    ],
)
def test_faults_of_large_files(bundle, entry, key, words):
    write_json(bundle / "large_files.json", {"large_files": [LARGE | entry]})
    assert_findings(findings(bundle), *([("large_files.json", f"large_files#0#{key}", words)] if key else []))


def test_weights_have_sums_that_are_theirs(bundle):
    weights, beside = bundle / "models/model.pt", bundle / "models/model.pt.sha256"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    assert_findings(findings(bundle), ("models/model.pt", "", "cd models && sha256sum model.pt > model.pt.sha256"))
    beside.write_text(f"{LARGE['hash_val']}  model.pt\n")
    assert findings(bundle) == []
    beside.write_text(LARGE["hash_val"])
    assert_findings(findings(bundle), ("models/model.pt.sha256", "", "is not as sha256sum writes it"))
    beside.unlink()
    write_json(bundle / "large_files.json", {"large_files": [LARGE]})
    assert findings(bundle) == []
    weights.write_bytes(b"others")
    assert_findings(findings(bundle), ("models/model.pt", "", "is not the file that its sha256 was made of"))
