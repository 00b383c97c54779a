from __future__ import annotations

import hashlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.transforms import Compose, EnsureChannelFirst, LoadImage, Orientation

from monai_mae_ext.data import volume_datalist
from monai_mae_ext.errors import UserError
from monai_mae_ext.phantoms import write_abdomen_phantoms
from monai_mae_ext.phantoms.abdomen_anatomy import label_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_abdomen_phantoms(tmp_path_factory.mktemp("ct") / "phantoms", n_volumes=5, spacing=6)


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_it_is_listed_in_sections_with_labels(folder: Path) -> None:
    training, test = (volume_datalist(folder, section, 0) for section in ("training", "test"))
    assert len(training) == 4 and len(test) == 1
    assert all(set(item) == {"image", "label"} for item in training + test)


def test_volumes_are_stored_in_several_ways_and_labels_go_along(folder: Path) -> None:
    items = volume_datalist(folder, "all", 0)
    ways, obliques = set(), 0
    to_ras = Compose([LoadImage(image_only=True), EnsureChannelFirst(), Orientation("RAS", labels=None)])
    for item in items:
        image, label = (nib.load(item[key]) for key in ("image", "label"))
        np.testing.assert_array_equal(image.affine, label.affine)
        assert image.shape == label.shape
        ways.add(nib.aff2axcodes(image.affine))
        obliques += not np.isclose(np.abs(image.affine[:3, :3]), 0).sum() == 6
        turned = to_ras(item["label"])[0].numpy()
        halves = [(half == label_of("liver")).sum() for half in np.array_split(turned, 2, axis=0)]
        assert halves[1] > 2 * halves[0], "the liver is on the right, which in RAS comes last"
    assert len(ways) >= 4 and obliques == 1


def test_the_same_arguments_write_the_same_bytes_and_others_are_refused(folder: Path, tmp_path: Path) -> None:
    before = digests(folder)
    write_abdomen_phantoms(folder, n_volumes=5, spacing=6)
    assert digests(folder) == before
    assert digests(write_abdomen_phantoms(tmp_path / "again", n_volumes=5, spacing=6)) == before
    with pytest.raises(UserError, match="phantoms of other arguments"):
        write_abdomen_phantoms(folder, n_volumes=6, spacing=6)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    with pytest.raises(UserError, match="not a phantom data set"):
        write_abdomen_phantoms(tmp_path / "photos", n_volumes=1)
    with pytest.raises(UserError, match="spacing in 1..6"):
        write_abdomen_phantoms(tmp_path / "fine", spacing=0.1)
