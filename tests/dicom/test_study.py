"""From a study's folder to DICOM results, through the real bundles."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from monai_mae_ext.dicom.study import process_study
from monai_mae_ext.errors import UserError
from monai_mae_ext.phantoms import ORGANS, write_abdomen_studies
from tests.bundles.conftest import run_bundle
from tests.delivery.conftest import copy_of
from tests.dicom.scans import SECRETS, scan, write_scan
from tests.label.conftest import small_bundles
from tests.processes import run_module


@pytest.fixture(scope="module")
def organs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The organ bundle with a tiny untrained network."""
    return (
        small_bundles(tmp_path_factory.mktemp("bundles"), "ct_multiorgan_segmentation") / "ct_multiorgan_segmentation"
    )


@pytest.fixture(scope="module")
def findings(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The findings bundle, trained a little."""
    folder = tmp_path_factory.mktemp("classifier")
    bundle = copy_of("cxr_disease_classification", folder)
    keys = {"dataset_dir": films, "ckpt_dir": bundle / "models", "output_dir": folder / "train", "epochs": 1}
    done = run_bundle(bundle.name, "training", ["train.json", str(bundle / "configs" / "tiny.json")], **keys)
    assert done.returncode == 0, done.stderr
    return bundle


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_abdomen_studies(tmp_path_factory.mktemp("studies") / "ct", 1, spacing=6) / "study_01"


def with_a_gap(folder: Path) -> Path:
    """A series of another patient in which a slice is missing."""
    images = scan(6)
    return write_scan(folder, [*images[:3], *images[4:]])


def test_each_ct_series_gets_a_segmentation_of_its_labels(study: Path, organs: Path, tmp_path: Path) -> None:
    written, failures = process_study(str(study), str(organs), str(tmp_path / "out"), "tiny")
    assert failures == []
    (path,) = written
    labels = np.asanyarray(nib.load(path.with_suffix("").with_suffix(".nii.gz")).dataobj)  # type: ignore[attr-defined]
    segmentation = pydicom.dcmread(path)
    assert [segment.SegmentLabel for segment in segmentation.SegmentSequence] == list(ORGANS)
    counts = np.zeros(len(ORGANS) + 1, int)
    for frame, groups in zip(segmentation.pixel_array, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        counts[groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber] += frame.sum()
    assert counts[1:].tolist() == np.bincount(labels.ravel(), minlength=len(counts))[1:].tolist()
    assert path.with_name(path.name.replace("_seg.dcm", "_overlay.png")).is_file()


def test_a_bad_series_is_told_and_the_others_go_on(study: Path, organs: Path, tmp_path: Path) -> None:
    shutil.copytree(study, tmp_path / "study")
    with_a_gap(tmp_path / "study" / "doe_jane")
    cut = write_scan(tmp_path / "study" / "doe_cut", scan(2, seed=2))
    for path in cut.iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    write_scan(tmp_path / "study" / "doe_tilted", scan(6, step=(0, 0.5, 2.5), seed=1))
    words = ["dicom", "study", str(organs), "--out", "out", "--overlays", "tiny"]
    done = run_module("monai_mae_ext", words, folder=tmp_path)
    assert done.returncode == 1
    assert "failed: series 4 (CT, UID ending 1.2.3.1) lacks 1 slice" in done.stderr
    assert "failed: 2 files of series 4 (CT, UID ending 1.2.3.3): truncated" in done.stderr
    assert "sheared" in done.stderr, "what was repaired is told"
    assert len(list((tmp_path / "out").glob("*_seg.dcm"))) == 2
    for text in (done.stdout, done.stderr, *(path.name for path in (tmp_path / "out").rglob("*"))):
        assert not any(secret in text.lower() for secret in (*SECRETS, "phantom-"))


def test_films_get_a_structured_report_and_an_overlay(films: Path, findings: Path, tmp_path: Path) -> None:
    paths = sorted(films.rglob("*.dcm"))[:2]
    (tmp_path / "study").mkdir()
    for path in paths:
        shutil.copy(path, tmp_path / "study")
    written, failures = process_study(
        str(tmp_path / "study"), str(findings), str(tmp_path / "out"), ["tiny"], refuse_unfamiliar=False
    )
    assert failures == []
    assert len(written) == 4 and len({path.name for path in written}) == 4
    film = pydicom.dcmread(paths[0])
    name = f"film_{film.SOPInstanceUID}".replace(".", "_")
    report = pydicom.dcmread(tmp_path / "out" / f"{name}_findings.dcm")
    assert (report.PatientID, report.StudyInstanceUID) == (film.PatientID, film.StudyInstanceUID)
    groups = report.ContentSequence[-1].ContentSequence
    effusion = next(group for group in groups if "Effusion" in texts_of(group))
    assert "Pleural effusion" in texts_of(effusion)
    (probability,) = [float(item.MeasuredValueSequence[0].NumericValue) for item in effusion.ContentSequence
                      if item.ValueType == "NUM"]  # fmt: skip
    assert 0 <= probability <= 1
    overlay = pydicom.dcmread(tmp_path / "out" / f"{name}_overlay.dcm")
    assert overlay.Modality == "OT" and overlay.pixel_array.ndim == 3 and overlay.pixel_array.std() > 0


def texts_of(group: pydicom.Dataset) -> str:
    """All that is said in a group of a report, as one text."""
    words = []
    for item in group.ContentSequence:
        words.append(str(item.get("TextValue", "")))
        words += [code.CodeMeaning for code in item.get("ConceptCodeSequence", [])]
    return "|".join(words)


def test_what_no_bundle_can_take_is_refused(study: Path, organs: Path, findings: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no CR or DX series"):
        process_study(str(study), str(findings), str(tmp_path), "tiny")
    with pytest.raises(UserError, match="takes 4 images"):
        process_study(str(study), "bundles/mri_tumor_segmentation", str(tmp_path))
    with pytest.raises(UserError, match=r"no configs/metadata\.json"):
        process_study(str(study), str(tmp_path), str(tmp_path))
    with pytest.raises(UserError, match=r"no overlay at .*quick_\.json"):
        process_study(str(study), str(organs), str(tmp_path), "quick_")


def test_without_weights_nothing_is_written(study: Path, organs: Path, tmp_path: Path) -> None:
    words = ["dicom", str(study), str(organs), "--out", "out", "--overlays", "tiny", "--ckpt_dir", "nowhere"]
    done = run_module("monai_mae_ext", words, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: ") and "nowhere" in done.stderr
    assert not list(tmp_path.rglob("*.dcm"))
