"""Golden brightness of DICOM radiographs, by the formulas of PS3.3 C.11.1 and C.11.2.1.2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless

from monai_mae_ext.data import read_radiograph
from tests.data.dicom_files import grey, lut, write_dicom


def read_values(path: Path) -> list[float]:
    return read_radiograph(path)[0][0].tolist()


def test_linear_window(tmp_path):
    path = write_dicom(tmp_path / "film", grey(0, 50, 51, 100, 149, 150, 4095), WindowCenter=100, WindowWidth=100)
    assert read_values(path) == pytest.approx([0, 0, 1 / 99, 0.5 + 0.5 / 99, 1, 1, 1])


def test_full_range_window_of_12_bits(tmp_path):
    path = write_dicom(tmp_path / "film", grey(0, 1, 2048, 4095), WindowCenter=[2048, 10], WindowWidth=[4096, 10])
    assert read_values(path) == pytest.approx([0, 1 / 4095, 2048 / 4095, 1])


@pytest.mark.parametrize(
    ("function", "expected"),
    [("LINEAR_EXACT", [0, 0.25, 0.5, 1]), ("SIGMOID", 1 / (1 + np.exp([8, 1, 0, -2])))],
)
def test_other_window_functions(tmp_path, function, expected):
    window = {"WindowCenter": 800, "WindowWidth": 400, "VOILUTFunction": function}
    assert read_values(write_dicom(tmp_path / "film", grey(0, 700, 800, 1000), **window)) == pytest.approx(expected)


def test_a_film_keeps_its_brightness_whatever_it_shows(tmp_path):
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    narrow = write_dicom(tmp_path / "narrow", grey(1000, 1001), **window)
    wide = write_dicom(tmp_path / "wide", grey(1000, 4095), **window)
    assert read_values(narrow)[0] == read_values(wide)[0] == pytest.approx(1000 / 4095)


@pytest.mark.parametrize("slope", [1, 0.5, 4])
def test_slope_and_intercept_come_before_the_window(tmp_path, slope):
    rescale = {"RescaleSlope": slope, "RescaleIntercept": -1024, "RescaleType": "US"}
    window = {"WindowCenter": 0, "WindowWidth": 101}
    stored = grey(0, int(1024 / slope), int(1044 / slope))
    assert read_values(write_dicom(tmp_path / "film", stored, **rescale, **window)) == pytest.approx([0, 0.505, 0.705])


def test_a_falling_rescale_slope_turns_dark_into_bright(tmp_path):
    elements = {"RescaleSlope": -1, "RescaleIntercept": 4000, "WindowCenter": 2000, "WindowWidth": 4001}
    path = write_dicom(tmp_path / "film", grey(0, 2000, 4000), **elements)
    assert read_values(path) == pytest.approx([1, 2000.5 / 4000, 0.5 / 4000])


def test_signed_values(tmp_path):
    stored = np.array([[-100, 0, 100]], dtype="<i2")
    path = write_dicom(tmp_path / "film", stored, PixelRepresentation=1, WindowCenter=0.5, WindowWidth=201)
    assert read_values(path) == pytest.approx([0, 0.5, 1])


def test_monochrome1_is_inverted_last(tmp_path):
    elements = {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": 2048, "WindowWidth": 4096}
    path = write_dicom(tmp_path / "film", grey(0, 1024, 4095), **elements)
    assert read_values(path) == pytest.approx([1, 1 - 1024 / 4095, 0])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("vr", ["US", "OW"])
def test_voi_lut_is_scaled_by_its_bits_and_clamped_at_its_ends(tmp_path, vr, syntax):
    sequence = lut(first=10, bits=10, entries=[100, 200, 1023], vr=vr)
    path = write_dicom(tmp_path / "film", grey(0, 10, 11, 12, 4000), syntax, VOILUTSequence=sequence)
    assert read_values(path) == pytest.approx([100 / 1023, 100 / 1023, 200 / 1023, 1, 1])


def test_twelve_bit_values_do_not_wrap_in_an_eight_bit_table(tmp_path):
    sequence = lut(first=0, bits=8, entries=[value // 16 for value in range(4096)])
    path = write_dicom(tmp_path / "film", grey(0, 16, 255, 256, 4095), VOILUTSequence=sequence)
    assert read_values(path) == pytest.approx([0, 1 / 255, 15 / 255, 16 / 255, 1])


def test_voi_lut_goes_before_a_window(tmp_path):
    elements = {"VOILUTSequence": lut(0, 8, [255, 0]), "WindowCenter": 1, "WindowWidth": 2}
    assert read_values(write_dicom(tmp_path / "film", grey(0, 1), **elements)) == [1, 0]


def test_modality_lut_feeds_the_window(tmp_path):
    elements = {"ModalityLUTSequence": lut(0, 16, [0, 1000, 50]), "WindowCenter": 500.5, "WindowWidth": 1001}
    assert read_values(write_dicom(tmp_path / "film", grey(0, 1, 2), **elements)) == pytest.approx([0, 1, 0.05])


@pytest.mark.parametrize(("values", "expected"), [((100, 150, 200), [0, 0.5, 1]), ((7, 7, 7), [0, 0, 0])])
def test_without_window_or_lut_the_image_itself_gives_the_range(tmp_path, values, expected):
    path = write_dicom(tmp_path / "film", grey(*values), WindowCenter="", WindowWidth="")
    assert read_values(path) == expected


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_colour_dicom_becomes_luminance(tmp_path, photometric):
    colour = [[[255, 0, 0], [51, 51, 51]]] if photometric == "RGB" else [[[76, 85, 255], [51, 128, 128]]]
    elements = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    stored = np.array(colour, np.uint8)
    path = write_dicom(tmp_path / "film", stored, PhotometricInterpretation=photometric, **elements)
    assert read_values(path) == pytest.approx([0.299, 0.2], abs=0.003)


def test_compressed_dicom(tmp_path):
    path = write_dicom(tmp_path / "film", np.arange(4096, dtype="<u2").reshape(64, 64))
    dataset = pydicom.dcmread(path)
    pixels = Image.fromarray(dataset.pixel_array)
    pixels.save(tmp_path / "film.j2k", irreversible=False)
    dataset.PixelData = pydicom.encaps.encapsulate([(tmp_path / "film.j2k").read_bytes()])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.save_as(tmp_path / "small")
    np.testing.assert_array_equal(read_radiograph(tmp_path / "small")[0], read_radiograph(path)[0])
