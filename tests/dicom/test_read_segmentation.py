"""Segmentations back on the grid of their series, whoever wrote them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from monai_mae_ext.dicom.algorithm import Algorithm
from monai_mae_ext.dicom.read_segmentation import is_automatic, read_segmentation
from monai_mae_ext.dicom.segmentation import save_segmentation
from monai_mae_ext.dicom.volume import Volume
from monai_mae_ext.errors import UserError
from tests.dicom.scans import AXIAL, CORONAL, enhanced, read, scan
from tests.dicom.test_segmentation import NAMES, ORGANS, SERIES, some_labels

GRIDS = {**SERIES, "tilted gantry": {"axes": AXIAL, "step": (0, 0.5, 2.5)}}


def save(path: Path, volume: Volume, labels: np.ndarray, maker: Algorithm = ORGANS) -> Path:
    save_segmentation(path, labels, volume.affine, NAMES, volume.headers, maker)
    return path


def read_back(path: Path, volume: Volume, values: dict[str, int] | None = None) -> np.ndarray:
    return read_segmentation(path, volume.affine, volume.values.shape, values)


@pytest.mark.parametrize("settings", GRIDS.values(), ids=GRIDS)
def test_what_was_written_comes_back_empty_slices_too(tmp_path, settings):
    volume = read(tmp_path / "scan", scan(6, **settings))
    labels = some_labels(volume)
    labels[:, :, :2] = labels[:, :, -1] = 0
    assert np.array_equal(read_back(save(tmp_path / "seg.dcm", volume, labels), volume), labels)


def test_of_a_multi_frame_series_too(tmp_path):
    images = scan()
    volume = read(tmp_path / "scan", [enhanced([images[k] for k in (2, 0, 3, 1)])])
    labels = some_labels(volume)
    assert np.array_equal(read_back(save(tmp_path / "seg.dcm", volume, labels), volume), labels)


def test_names_tell_the_labels_where_they_are_known(tmp_path):
    volume = read(tmp_path / "scan", scan())
    labels = some_labels(volume)
    found = read_back(save(tmp_path / "seg.dcm", volume, labels), volume, {"liver": 6})
    assert np.array_equal(found, np.where(labels == 2, 6, labels))


def test_nothing_found_is_background(tmp_path):
    volume = read(tmp_path / "scan", scan())
    assert not read_back(save(tmp_path / "seg.dcm", volume, 0 * some_labels(volume)), volume).any()


@pytest.mark.parametrize(
    "settings", [{"origin": (-20, 10, 31)}, {"axes": CORONAL, "step": (0, 2.5, 0)}, {"spacing": (0.75, 0.6)}], ids=str
)
def test_another_grid_is_refused(tmp_path, settings):
    volume, other = read(tmp_path / "a", scan()), read(tmp_path / "b", scan(**settings))
    path = save(tmp_path / "seg.dcm", other, some_labels(other))
    with pytest.raises(UserError, match="does not lie on the slices"):
        read_back(path, volume)


def test_another_size_and_other_objects_are_refused(tmp_path):
    volume = read(tmp_path / "scan", scan())
    path = save(tmp_path / "seg.dcm", volume, some_labels(volume))
    with pytest.raises(UserError, match="the series slices of"):
        read_back(path, replace(volume, values=volume.values[:-1]))
    with pytest.raises(UserError, match="no DICOM segmentation"):
        read_back(next((tmp_path / "scan").iterdir()), volume)


@pytest.mark.parametrize("kind", ["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"])
def test_it_tells_whether_a_person_had_a_hand_in_it(tmp_path, kind):
    volume = read(tmp_path / "scan", scan())
    path = save(tmp_path / "seg.dcm", volume, some_labels(volume), ORGANS._replace(kind=kind))
    assert is_automatic(pydicom.dcmread(path)) == (kind == "AUTOMATIC")
