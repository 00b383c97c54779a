from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas
import pydicom
import pytest
from PIL import Image

from monai_mae_ext.errors import UserError
from monai_mae_ext.phantoms.chest_findings import FINDINGS
from monai_mae_ext.phantoms.chest_phantom_dataset import write_chest_phantoms


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chest_phantoms(tmp_path_factory.mktemp("phantoms"), n_films=20, size=64, seed=1, dicom_fraction=0.3)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_lists(folder: Path) -> tuple[list[str], list[str]]:
    train, test = ((folder / name).read_text().splitlines() for name in ("train_val_list.txt", "test_list.txt"))
    return train, test


def test_the_table_has_the_columns_of_nih(dataset: Path) -> None:
    table = pandas.read_csv(dataset / "Data_Entry_2017.csv")
    assert list(table.columns) == [
        "Image Index",
        "Finding Labels",
        "Follow-up #",
        "Patient ID",
        "Patient Age",
        "Patient Gender",
        "View Position",
        "OriginalImage[Width",
        "Height]",
        "OriginalImagePixelSpacing[x",
        "y]",
    ]
    assert len(table) == 20
    assert set("|".join(table["Finding Labels"]).split("|")) <= {*FINDINGS, "No Finding"}
    assert sorted(table["Image Index"]) == sorted(path.name for path in (dataset / "images").iterdir())
    assert (table["Height]"] == 64).all() and (table["y]"] == 6.25).all()
    for _, films in table.groupby("Patient ID"):
        assert list(films["Follow-up #"]) == list(range(len(films))) and len(films) <= 3
        assert films["Patient Gender"].nunique() == films["Patient Age"].nunique() == 1


def test_the_lists_split_the_patients(dataset: Path) -> None:
    train, test = read_lists(dataset)
    assert sorted(train + test) == sorted(path.name for path in (dataset / "images").iterdir())
    assert train and test
    assert not {name[:8] for name in train} & {name[:8] for name in test}


def test_masks_belong_to_the_films(dataset: Path) -> None:
    stems = {path.stem for path in (dataset / "images").iterdir()}
    assert {path.stem for path in (dataset / "thorax_masks").iterdir()} == stems
    for path in (dataset / "thorax_masks").iterdir():
        mask = np.asarray(Image.open(path))
        assert mask.shape == (64, 64) and set(np.unique(mask)) == {0, 255} and 0.2 < (mask > 0).mean() < 0.6
    film = Image.open(next((dataset / "images").glob("*.png")))
    assert film.mode == "L" and film.size == (64, 64)


def test_dicom_holds_the_film_that_png_holds(dataset: Path, tmp_path: Path) -> None:
    twin = write_chest_phantoms(tmp_path, n_films=20, size=64, seed=1)
    interpretations = []
    for path in sorted((dataset / "images").glob("*.dcm")):
        image = pydicom.dcmread(path)
        interpretations.append(image.PhotometricInterpretation)
        assert (image.Modality, image.BitsStored, image.pixel_array.dtype) == ("DX", 12, np.uint16)
        assert image.PatientID == f"PHANTOM-{path.stem[:8]}" and image.file_meta.MediaStorageSOPInstanceUID.is_valid
        white = image.WindowCenter + image.WindowWidth / 2 - 1
        grey = (image.pixel_array * image.RescaleSlope + image.RescaleIntercept) / white
        if image.PhotometricInterpretation == "MONOCHROME1":
            grey = 1 - grey
        expected = np.asarray(Image.open(twin / "images" / f"{path.stem}.png")) / 255
        assert np.abs(grey - expected).max() < 0.003
    assert sorted(interpretations) == ["MONOCHROME1"] * 3 + ["MONOCHROME2"] * 3


def test_the_same_arguments_write_the_same_bytes_once(dataset: Path, tmp_path: Path) -> None:
    again = write_chest_phantoms(tmp_path / "again", n_films=20, size=64, seed=1, dicom_fraction=0.3)
    assert contents(again) == contents(dataset)
    touched = {path: path.stat().st_mtime_ns for path in again.rglob("*")}
    write_chest_phantoms(again, n_films=20, size=64, seed=1, dicom_fraction=0.3)
    assert {path: path.stat().st_mtime_ns for path in again.rglob("*")} == touched


def test_an_interrupted_data_set_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write_chest_phantoms(tmp_path / "whole", n_films=4, size=32)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(csv, "writer", lambda file: (_ for _ in ()).throw(KeyboardInterrupt))
        write_chest_phantoms(tmp_path / "cut", n_films=4, size=32)
    assert not (tmp_path / "cut" / "test_list.txt").exists()
    assert contents(write_chest_phantoms(tmp_path / "cut", n_films=4, size=32)) == contents(whole)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=f"{tmp_path} holds something that is not a phantom data set"):
        write_chest_phantoms(tmp_path, n_films=1, size=32)
    assert contents(tmp_path) == {"notes.txt": b"mine"}


def test_a_data_set_of_other_arguments_is_refused(tmp_path: Path) -> None:
    write_chest_phantoms(tmp_path, n_films=1, size=32)
    with pytest.raises(UserError, match="holds phantoms of other arguments"):
        write_chest_phantoms(tmp_path, n_films=2, size=32)


@pytest.mark.parametrize("wrong", [{"n_films": 0}, {"size": 8}, {"seed": -1}, {"dicom_fraction": 1.5}])
def test_arguments_out_of_range_are_named(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        write_chest_phantoms(tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()
