from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from matplotlib.image import imread
from monai.transforms import Compose, EnsureChannelFirst, LoadImage, Orientation

from monai_mae_ext.data import volume_datalist
from monai_mae_ext.errors import UserError
from monai_mae_ext.phantoms import write_brain_phantoms
from monai_mae_ext.phantoms.brain_phantom_dataset import draw_patient

SMALL: dict[str, Any] = {"n_volumes": 5, "spacing": 5.0}
SWAPPED = np.array([0, 2, 1, 3])


@pytest.fixture(scope="module")
def msd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_brain_phantoms(tmp_path_factory.mktemp("msd") / "phantoms", **SMALL)


@pytest.fixture(scope="module")
def brats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_brain_phantoms(tmp_path_factory.mktemp("brats") / "phantoms", **SMALL, layout="brats")


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def patients(folder: Path) -> list[dict[str, str]]:
    """Items of all sections, in the order in which they were drawn."""
    return sorted(volume_datalist(folder, "all", 0), key=lambda item: Path(item["image"]).name)


def test_the_decathlons_layout_is_listed_in_sections_with_labels(msd: Path) -> None:
    training, test = (volume_datalist(msd, section, 0) for section in ("training", "test"))
    assert len(training) == 4 and len(test) == 1
    assert all(set(item) == {"image", "label"} for item in training + test)
    description = json.loads((msd / "dataset.json").read_text())
    assert list(description["modality"].values()) == ["FLAIR", "T1w", "t1gd", "T2w"]
    assert description["labels"] == {
        "0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour",
    }  # fmt: skip


def test_volumes_are_stored_in_several_ways_and_labels_go_along(msd: Path) -> None:
    ways, obliques, spacings = set(), 0, set()
    to_ras = Compose([LoadImage(image_only=True), EnsureChannelFirst(), Orientation("RAS", labels=None)])
    for number, item in enumerate(patients(msd)):
        image, label = (nib.load(item[key]) for key in ("image", "label"))
        np.testing.assert_array_equal(image.affine, label.affine)
        assert image.shape == (*label.shape, 4)
        assert image.get_data_dtype() == np.int16 and label.get_data_dtype() == np.uint8
        ways.add(nib.aff2axcodes(image.affine))
        obliques += not np.isclose(np.abs(image.affine[:3, :3]), 0).sum() == 6
        spacings.add(tuple(np.round(sorted(image.header.get_zooms()[:3]), 2)))
        drawn = draw_patient(SMALL["spacing"], np.random.default_rng([0, number]))
        np.testing.assert_array_equal(to_ras(item["image"]).squeeze(), drawn.image)
        np.testing.assert_array_equal(to_ras(item["label"])[0], drawn.label)
    assert len(ways) >= 4 and obliques == 1 and len(spacings) == 5


def test_brats_layout_holds_the_same_patients(msd: Path, brats: Path) -> None:
    names = sorted(path.name for path in brats.iterdir() if path.is_dir())
    assert names == [f"BraTS-GLI-{number:05d}-000" for number in range(1, 6)]
    for name, item in zip(names, patients(msd), strict=True):
        assert len(list((brats / name).iterdir())) == 5
        image, label = (nib.load(item[key]) for key in ("image", "label"))
        for channel, ending in enumerate(("t2f", "t1n", "t1c", "t2w")):
            sequence = nib.load(brats / name / f"{name}-{ending}.nii.gz")
            np.testing.assert_array_equal(sequence.dataobj, np.asarray(image.dataobj)[..., channel])
            np.testing.assert_array_equal(sequence.affine, image.affine)
        own = nib.load(brats / name / f"{name}-seg.nii.gz")
        np.testing.assert_array_equal(np.asarray(own.dataobj), SWAPPED[np.asarray(label.dataobj)])


def test_the_contact_sheet_shows_patients_by_sequences_and_label(msd: Path, brats: Path) -> None:
    height, width = imread(msd / "contact_sheet.png").shape[:2]
    assert width == 1000 and height == 880
    assert digests(msd)["contact_sheet.png"] == digests(brats)["contact_sheet.png"]


@pytest.mark.parametrize("layout", ["msd", "brats"])
def test_the_same_arguments_write_the_same_bytes(layout: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    folder = request.getfixturevalue(layout)
    before = digests(folder)
    write_brain_phantoms(folder, **SMALL, layout=layout)
    assert digests(folder) == before
    assert digests(write_brain_phantoms(tmp_path / "again", **SMALL, layout=layout)) == before


def test_other_arguments_and_folders_are_refused(msd: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="phantoms of other arguments"):
        write_brain_phantoms(msd, **SMALL, layout="brats")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    with pytest.raises(UserError, match="not a phantom data set"):
        write_brain_phantoms(tmp_path / "photos", n_volumes=1)
    for wrong in ({"spacing": 0.1}, {"layout": "bids"}, {"n_volumes": 0}, {"test_fraction": 2.0}):
        with pytest.raises(UserError, match="spacing in 1..6, test_fraction in 0..1 and layout one of msd, brats"):
            write_brain_phantoms(tmp_path / "wrong", **wrong)
