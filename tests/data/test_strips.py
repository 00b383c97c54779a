"""A film read strip by strip is the box mean of the film read at once."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.uid import RLELossless

from monai_mae_ext.data import read_radiograph, strips
from monai_mae_ext.data.strips import reduce_film, reduction_factor, row_strips
from tests.data.dicom_files import lut, write_dicom

WINDOW = {"WindowCenter": 1500, "WindowWidth": 2000}
COLOUR = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
ZIGZAG = [abs(entry % 512 - 256) for entry in range(4096)]
DICOM = {
    "window": WINDOW,
    "sigmoid": {**WINDOW, "VOILUTFunction": "SIGMOID"},
    "VOI LUT": {"VOILUTSequence": lut(100, 8, [value // 16 for value in range(4096)])},
    "MONOCHROME1": {**WINDOW, "PhotometricInterpretation": "MONOCHROME1"},
    "own range": {},
    "own range, falling": {"RescaleSlope": -0.3, "RescaleIntercept": 7, "PhotometricInterpretation": "MONOCHROME1"},
    "own range of a modality LUT": {"ModalityLUTSequence": lut(0, 16, ZIGZAG)},
}
PICTURES = {"8 bit": np.uint8, "16 bit": np.uint16, "RGB": np.uint8, "float": np.float32}
KINDS = [*DICOM, "RGB DICOM", *PICTURES]


def write_film(folder: Path, kind: str, shape: tuple[int, int], seed: int = 0) -> Path:
    """Write noise that differs in brightness from top to bottom, so that no strip has the range of the film."""
    ramp = np.linspace(0.2, 0.8, shape[0])[:, None] + np.zeros(shape)
    noise = np.clip(ramp + np.random.default_rng(seed).uniform(-0.2, 0.2, (3, *shape)), 0, 1)
    if kind in DICOM:
        return write_dicom(folder / "film.dcm", (noise[0] * 4095).astype("<u2"), **DICOM[kind])
    if kind == "RGB DICOM":
        stored = np.moveaxis(noise * 255, 0, -1).astype(np.uint8)
        return write_dicom(folder / "film.dcm", stored, PhotometricInterpretation="RGB", **COLOUR)
    dtype = PICTURES[kind]
    path = folder / ("film.tif" if dtype is np.float32 else "film.png")
    values = noise if dtype is np.float32 else noise * np.iinfo(dtype).max
    Image.fromarray((np.moveaxis(values, 0, -1) if kind == "RGB" else values[0]).astype(dtype)).save(path)
    return path


def expected_means(film: np.ndarray, factor: int) -> np.ndarray:
    """Box means, a box at a time."""
    (rows, columns), f = film.shape, factor
    return np.array(
        [[film[i : i + f, j : j + f].astype(float).mean() for j in range(0, columns, f)] for i in range(0, rows, f)]
    )


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12, deadline=None)
@given(
    shape=st.tuples(st.integers(4, 40), st.integers(4, 40)),
    max_side=st.integers(1, 20),
    strip_pixels=st.integers(1, 600),
    seed=st.integers(0, 99),
)
def test_a_reduced_film_is_the_box_mean_of_the_whole_film(tmp_path_factory, kind, shape, max_side, strip_pixels, seed):
    path = write_film(tmp_path_factory.mktemp("film"), kind, shape, seed)
    whole, meta = read_radiograph(path)
    with patch.object(strips, "STRIP_PIXELS", strip_pixels):
        reduced, reduced_meta = read_radiograph(path, max_side)
    assert whole.shape == tuple(reduced_meta["stored_shape"]) == shape and meta["bits"] == reduced_meta["bits"]
    assert reduced.dtype == np.float32 and reduced.shape == tuple(reduced_meta["spatial_shape"])
    np.testing.assert_allclose(reduced, expected_means(whole, reduction_factor(shape, max_side)), rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_a_film_less_than_twice_as_long_as_needed_keeps_its_bytes(tmp_path, kind):
    path = write_film(tmp_path, kind, (31, 40))
    for max_side in 16, 31, 1000:
        assert read_radiograph(path, max_side)[0].tobytes() == read_radiograph(path)[0].tobytes()


def test_compressed_dicom(tmp_path):
    path = write_film(tmp_path, "window", (30, 20))
    whole = read_radiograph(path)[0]
    dataset = pydicom.dcmread(path)
    dataset.compress(RLELossless)
    dataset.save_as(path)
    np.testing.assert_allclose(read_radiograph(path, 10)[0], expected_means(whole, 2), rtol=3e-7)


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 3000))
def test_the_shorter_side_stays_as_long_as_needed_and_ends_below_twice_that(rows, columns, max_side):
    shorter = min(rows, columns)
    factor = reduction_factor((rows, columns), max_side)
    assert shorter / factor >= min(shorter, max_side) and shorter / factor < 2 * max_side


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 20), st.integers(1, 5000))
def test_strips_cover_each_row_once_and_never_cut_a_box(rows, columns, factor, strip_pixels):
    with patch.object(strips, "STRIP_PIXELS", strip_pixels):
        slices = list(row_strips((rows, columns), factor))
    assert [row for part in slices for row in range(part.start, part.stop)] == list(range(rows))
    assert all(part.start % factor == 0 for part in slices)
    assert all((part.stop - part.start) * columns <= max(strip_pixels, factor * columns) for part in slices)


@pytest.mark.parametrize("kind", KINDS)
def test_brightness_never_exists_at_full_size(tmp_path, kind):
    shape = 1200, 1000
    path = write_film(tmp_path, kind, shape)
    with patch.object(strips, "STRIP_PIXELS", 2**14):
        read_radiograph(path, 200)  # what is imported on the way
        tracemalloc.start()
        read_radiograph(path, 200)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # pydicom holds the stored values twice while it decodes, Pillow's own memory is not traced
    stored_bytes = 2 * path.stat().st_size if path.suffix == ".dcm" else 0
    assert peak - stored_bytes < shape[0] * shape[1] * 4 / 2  # half of the brightness as float32


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 1.5])
def test_extremes_are_those_before_the_average(value):
    film = np.full((20, 20), 0.5)
    film[13, 7] = value
    with patch.object(strips, "STRIP_PIXELS", 100):
        reduced = reduce_film(lambda rows: film[rows], film.shape, 5)
    np.testing.assert_array_equal([reduced.lowest, reduced.highest], [film.min(), film.max()])
