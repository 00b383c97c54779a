from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from monai_mae_ext.data import volume_datalist
from monai_mae_ext.errors import UserError
from tests.data.dicom_files import write_dicom


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def decathlon(root: Path, n: int = 40, name: str = "dataset.json", **lists) -> Path:
    """A Decathlon folder of empty files; ``lists`` are added to its JSON."""
    entries = [{"image": f"./imagesTr/c{i:02}.nii.gz", "label": f"./labelsTr/c{i:02}.nii.gz"} for i in range(n)]
    touch(root, *(path for entry in entries for path in entry.values()))
    (root / name).write_text(json.dumps({"training": entries, **lists}))
    return root


def names(root: Path, section: str, **options) -> set[str]:
    try:
        return {item["image"] for item in volume_datalist(root, section, **options)}
    except UserError as error:
        assert "is empty" in str(error)
        return set()


def test_a_decathlon_folder_is_split_by_hash_and_labels_come_along(tmp_path):
    decathlon(tmp_path, test=[])
    parts = [names(tmp_path, section, validation_fraction=0.2) for section in ("training", "validation", "test")]
    assert all(parts) and sum(map(len, parts)) == 40 and len(set.union(*parts)) == 40
    for item in volume_datalist(tmp_path, "all"):
        assert Path(item["image"]).is_file() and item["label"] == item["image"].replace("imagesTr", "labelsTr")
    again = names(tmp_path, "validation", validation_fraction=0.2, fold=1)
    assert not again & parts[1] and not again & parts[2]


def test_a_split_does_not_hang_on_where_the_folder_lies(tmp_path):
    here, there = (decathlon(tmp_path / place) for place in ("here", "there"))
    assert {Path(name).name for name in names(here, "test")} == {Path(name).name for name in names(there, "test")}


def test_lists_of_validation_and_labelled_test_cases_are_taken_as_they_are(tmp_path):
    entry = {"image": "imagesTs/v.nii.gz", "label": "labelsTs/v.nii.gz"}
    touch(tmp_path, *entry.values())
    decathlon(tmp_path, 10, "dataset_0.json", validation=[entry])
    assert names(tmp_path, "validation") == {str(tmp_path / entry["image"])}
    assert len(names(tmp_path, "training")) == 10
    with pytest.raises(UserError, match="the test section of .* is empty .*add a list to .*dataset_0.json"):
        volume_datalist(tmp_path, "test")
    decathlon(tmp_path, 10, "dataset_0.json", test=[entry])
    assert names(tmp_path, "test") == {str(tmp_path / entry["image"])}
    assert (
        len(
            names(tmp_path, "training", validation_fraction=0.3)
            | names(tmp_path, "validation", validation_fraction=0.3)
        )
        == 10
    )


def test_test_images_without_labels_are_left_out(tmp_path):
    touch(tmp_path, "imagesTs/t.nii.gz")
    decathlon(tmp_path, 20, test=["./imagesTs/t.nii.gz"])
    assert not any("imagesTs" in name for name in names(tmp_path, "all")) and names(tmp_path, "test")


def test_a_plain_folder_of_files_and_series(tmp_path):
    touch(
        tmp_path, "a.nii.gz", "b.nrrd", "p1/x.nii", "p1/labels/x.nii", ".hidden.nii", "notes.txt", "labelsTr/a.nii.gz"
    )
    for number in range(3):
        (tmp_path / "p2" / "ct").mkdir(parents=True, exist_ok=True)
        write_dicom(tmp_path / "p2" / "ct" / f"{number}.dcm", np.zeros((4, 4), np.uint16))
    expected = {"a.nii.gz", "b.nrrd", "p1/x.nii", "p2/ct"}
    assert {str(Path(name).relative_to(tmp_path)) for name in names(tmp_path, "all")} == expected
    assert all("label" not in item for item in volume_datalist(tmp_path, "all"))


def test_a_sub_folder_is_a_patient(tmp_path):
    touch(tmp_path, *(f"p{patient}/{visit}.nii.gz" for patient in range(30) for visit in range(3)))
    for section in ("training", "validation", "test"):
        patients = [Path(name).parent.name for name in names(tmp_path, section, validation_fraction=0.3)]
        assert patients and all(patients.count(patient) == 3 for patient in patients)


def test_mistakes_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="found no volumes in .*looked for .nii"):
        volume_datalist(tmp_path / "empty", "all")
    two = decathlon(decathlon(tmp_path / "two", 2), 2, "dataset_1.json")
    with pytest.raises(UserError, match=r"has 2 lists \(dataset.json, dataset_1.json\): leave one"):
        volume_datalist(two, "all")
    gone = decathlon(tmp_path / "gone", 2)
    (gone / "labelsTr" / "c01.nii.gz").unlink()
    with pytest.raises(UserError, match="dataset.json names .*labelsTr/c01.nii.gz, which is not there"):
        volume_datalist(gone, "all")
    for number, text in enumerate(("[1]", "{", '{"training": [{"label": "x"}]}', '{"training": [3]}')):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "dataset.json").write_text(text)
        with pytest.raises(UserError, match="dataset.json is no list of volumes"):
            volume_datalist(tmp_path / str(number), "all")


@pytest.mark.real_data
@pytest.mark.parametrize(("folder", "training", "validation"), [("sts_ct", 14, 4), ("abdomen_ct", 1, 1)])
def test_public_samples(real_data, folder, training, validation):
    found = [len(volume_datalist(real_data / folder, section)) for section in ("training", "validation")]
    assert found == [training, validation]


@pytest.mark.real_data
def test_the_hippocampus_sample_is_split_in_three(real_data):
    sections = [names(real_data / "Task04_Hippocampus", section) for section in ("training", "validation", "test")]
    assert all(sections) and sum(map(len, sections)) == 130


def test_transunets_split_of_btcv_is_by_case_number(tmp_path: Path) -> None:
    for number in (1, 5, 7, 38):
        (tmp_path / f"img{number:04d}.nii.gz").touch()
    names = {
        section: [Path(item["image"]).name[3:7] for item in volume_datalist(tmp_path, section, 0, split="transunet")]
        for section in ("training", "test")
    }
    assert names == {"training": ["0005", "0007"], "test": ["0001", "0038"]}
    with pytest.raises(UserError, match="split is one of transunet, not 'nnunet'"):
        volume_datalist(tmp_path, "test", split="nnunet")
    (tmp_path / "scan.nii.gz").touch()
    with pytest.raises(UserError, match=r"scan.nii.gz has no number"):
        volume_datalist(tmp_path, "test", split="transunet")
