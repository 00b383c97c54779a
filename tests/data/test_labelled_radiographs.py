from __future__ import annotations

from pathlib import Path

import pytest

from monai_mae_ext.data import labelled_radiographs, radiograph_datalist
from monai_mae_ext.errors import UserError
from tests.data.test_radiograph_datalist import make_chestxray14, make_folder


def write_table(root: Path, *rows: str, header: str = "image,patient,tube,pacemaker") -> Path:
    (root / "labels.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")
    return root


def test_labels_are_chosen_and_ordered_by_name(tmp_path: Path) -> None:
    write_table(tmp_path, "a/1.png,p,1,0", "2.png,q,0,1")
    first, second = labelled_radiographs(tmp_path, "all", ["pacemaker", "tube"])
    assert first == {"image": str(tmp_path / "2.png"), "label": (1, 0), "patient": "q"}
    assert second == {"image": str(tmp_path / "a/1.png"), "label": (0, 1), "patient": "p"}
    assert [item["label"] for item in labelled_radiographs(tmp_path, "all", ["tube"])] == [(0,), (1,)]


def test_folds_share_no_validation_patient_and_leave_nobody_out(tmp_path: Path) -> None:
    root = make_chestxray14(tmp_path, {patient: 2 for patient in range(100)})
    test = {item["image"] for item in radiograph_datalist(root, "test")}
    seen: list[str] = []
    for fold in range(4):
        held = [item["image"] for item in radiograph_datalist(root, "validation", 0.2, fold=fold)]
        training = {item["image"] for item in radiograph_datalist(root, "training", 0.2, fold=fold)}
        assert not training & set(held) and not (training | set(held)) & test
        seen += held
    assert len(seen) == len(set(seen)) == 200 - len(test)
    with pytest.raises(UserError, match="no fold 4"):
        radiograph_datalist(root, "validation", 0.2, fold=4)


def test_fewer_labels_are_a_part_of_more_and_whole_patients(tmp_path: Path) -> None:
    root = make_chestxray14(tmp_path, {patient: 2 for patient in range(100)})
    kept = [
        {item["image"] for item in labelled_radiographs(root, "training", ["Mass"], label_fraction=fraction)}
        for fraction in (0.1, 0.5, 1.0)
    ]
    assert kept[0] < kept[1] < kept[2] == {item["image"] for item in radiograph_datalist(root, "training")}
    assert all(image.replace("_000", "_001") in kept[0] for image in kept[0])


@pytest.mark.parametrize(
    ("row", "header", "message"),
    [
        ("a.png,p,1,?", "image,patient,tube,pacemaker", r"labels.csv row 2 \(a.png\) has '\?' for pacemaker"),
        ("a.png,1", "image,tube", "labels.csv has no column patient"),
        ("a.png,p,1", "image,patient,pacemaker", "has no label 'tube' in pacemaker"),
    ],
)
def test_tables_that_cannot_be_used_are_named(tmp_path: Path, row: str, header: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        labelled_radiographs(write_table(tmp_path, row, header=header), "all", ["tube"])


def test_a_folder_without_labels_says_what_to_put_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no labels: put a labels.csv there"):
        labelled_radiographs(make_folder(tmp_path, ["a.png"]), "all", ["tube"])
