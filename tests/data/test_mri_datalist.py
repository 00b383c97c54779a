from __future__ import annotations

import json
from pathlib import Path

import pytest

from monai_mae_ext.data import mri_datalist
from monai_mae_ext.data.modalities import modality_name
from monai_mae_ext.errors import UserError

FOUR = ("FLAIR", "T1w", "T1gd", "T2w")


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def decathlon(root: Path, **more: object) -> Path:
    entries = [{"image": f"imagesTr/BRATS_{i:03}.nii.gz", "label": f"labelsTr/BRATS_{i:03}.nii.gz"} for i in range(30)]
    touch(root, *(path for entry in entries for path in entry.values()))
    (root / "dataset.json").write_text(json.dumps({"training": entries, **more}))
    return root


@pytest.mark.parametrize(
    ("spelling", "name"),
    [("t1ce", "T1gd"), ("t1c", "T1gd"), ("T1-post", "T1gd"), ("T1Gd", "T1gd"), ("t2f", "FLAIR"), ("T2-FLAIR", "FLAIR")]
    + [("t1n", "T1w"), ("T1", "T1w"), ("t2w", "T2w"), ("MRI", "MRI")],
)  # fmt: skip
def test_spellings_of_a_sequence_are_one_name(spelling: str, name: str) -> None:
    assert modality_name(spelling) == name


def test_the_decathlon_names_the_channels_of_its_files(tmp_path: Path) -> None:
    modality = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
    decathlon(tmp_path, modality=modality)
    parts = {name: mri_datalist(tmp_path, name, FOUR, fold=1) for name in ("training", "validation", "test")}
    scans = [item["scan"] for items in parts.values() for item in items]
    assert len(scans) == len(set(scans)) == 30 and all(parts.values())
    item = parts["training"][0]
    assert item["modalities"] == list(FOUR) and item["image"] == item["scan"]
    assert item["label"] == item["image"].replace("imagesTr", "labelsTr")


@pytest.mark.parametrize("more", [{}, {"modality": {"1": "FLAIR"}}, {"modality": "FLAIR"}])
def test_a_list_that_does_not_name_its_channels_is_refused(tmp_path: Path, more: dict) -> None:
    with pytest.raises(UserError, match=r"dataset.json does not say which channel is what"):
        mri_datalist(decathlon(tmp_path, **more), "training", FOUR)


def test_other_sequences_than_those_wanted_are_refused(tmp_path: Path) -> None:
    decathlon(tmp_path, modality={"0": "MRI"})
    assert len(mri_datalist(tmp_path, "all", ("MRI",))) == 30
    with pytest.raises(UserError, match=r"scans in .* have MRI, none of FLAIR, T1w, T1gd, T2w: set --modalities"):
        mri_datalist(tmp_path, "all", FOUR)


def test_brats_of_all_years_is_a_file_a_sequence(tmp_path: Path) -> None:
    touch(tmp_path, *(f"BraTS20_001/BraTS20_001_{word}.nii.gz" for word in ("t1", "t1ce", "t2", "flair", "seg")))
    touch(tmp_path, *(f"BraTS-GLI-00002-000/BraTS-GLI-00002-000-{word}.nii.gz" for word in ("t1c", "t2f")))
    new, old = mri_datalist(tmp_path, "all", FOUR)
    assert Path(old["scan"]).name == "BraTS20_001" and old["label"].endswith("BraTS20_001_seg.nii.gz")
    assert dict(zip(old["modalities"], map(lambda path: Path(path).name, old["image"]), strict=True)) == {
        "FLAIR": "BraTS20_001_flair.nii.gz", "T1w": "BraTS20_001_t1.nii.gz", "T1gd": "BraTS20_001_t1ce.nii.gz",
        "T2w": "BraTS20_001_t2.nii.gz",
    }  # fmt: skip
    assert new["modalities"] == ["T1gd", "FLAIR"] and "label" not in new


def test_visits_of_one_patient_stay_together(tmp_path: Path) -> None:
    names = [f"BraTS-GLI-{patient:05}-{visit:03}" for patient in range(20) for visit in range(3)]
    touch(tmp_path, *(f"{name}/{name}-t2f.nii.gz" for name in names))
    patients = [
        {Path(item["scan"]).name[:15] for item in mri_datalist(tmp_path, section, FOUR)}
        for section in ("training", "validation", "test")
    ]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 20


def test_two_files_of_one_sequence_and_nameless_volumes_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "a", "p/p_t1.nii.gz", "p/p_t1n.nii.gz")
    with pytest.raises(UserError, match=r"has two files of T1w, p_t1.nii.gz and p_t1n.nii.gz: remove one"):
        mri_datalist(tmp_path / "a", "all", FOUR)
    touch(tmp_path / "b", "scan1.nii.gz", "scan2.nii.gz")
    with pytest.raises(UserError, match=r"nothing in .* says which sequence is what"):
        mri_datalist(tmp_path / "b", "all", FOUR)
    assert [item["modalities"] for item in mri_datalist(tmp_path / "b", "all", ["T2"])] == [["T2w"]] * 2
    touch(tmp_path / "c", "notes.txt")
    with pytest.raises(UserError, match="found no scans in"):
        mri_datalist(tmp_path / "c", "all", FOUR)
