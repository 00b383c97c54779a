from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
from monai.data import list_data_collate
from monai.transforms import Compose, LoadImaged
from PIL import Image
from pydicom.uid import MPEG2MPML, JPEGLosslessSV1

from monai_mae_ext.data import RadiographError, RadiographReader, read_radiograph
from monai_mae_ext.errors import UserError, user_error_behind
from tests.data.dicom_files import PATIENT, grey, lut, write_dicom


def read_values(path: Path) -> list[float]:
    return read_radiograph(path)[0][0].tolist()


# Pictures


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_grey_is_divided_by_the_largest_value_of_its_bit_depth(tmp_path, suffix, dtype, top):
    stored = np.array([[0, 1, top // 3], [top // 2, top - 1, top]], dtype=dtype)
    Image.fromarray(stored).save(tmp_path / f"film.{suffix}")
    brightness, meta = read_radiograph(tmp_path / f"film.{suffix}")
    assert brightness.dtype == np.float32
    np.testing.assert_allclose(brightness, stored / top, rtol=1e-6)
    assert meta["bits"] == np.iinfo(dtype).bits


def test_jpeg_keeps_a_flat_grey(tmp_path):
    Image.new("L", (24, 16), 51).save(tmp_path / "film.jpg")
    brightness, _ = read_radiograph(tmp_path / "film.jpg")
    assert brightness.shape == (16, 24)
    np.testing.assert_allclose(brightness, 0.2)


def test_colour_becomes_luminance_and_alpha_is_dropped(tmp_path):
    Image.new("RGB", (1, 1), (255, 0, 0)).save(tmp_path / "rgb.png")
    Image.new("RGBA", (1, 1), (102, 102, 102, 0)).save(tmp_path / "rgba.png")
    Image.new("LA", (1, 1), (102, 0)).save(tmp_path / "la.png")
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 255, 0, 51, 51, 51])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "palette.png")
    assert read_values(tmp_path / "rgb.png") == pytest.approx([76 / 255])
    assert read_values(tmp_path / "rgba.png") == read_values(tmp_path / "la.png") == pytest.approx([0.4])
    assert read_values(tmp_path / "palette.png") == pytest.approx([150 / 255, 0.2])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_that_stores_white_as_zero_is_inverted(tmp_path, dtype):
    top = np.iinfo(dtype).max
    stored = np.array([[top, top - top // 5]], dtype=dtype)
    # Pillow inverts on saving at 8 bits, as it does on loading; at 16 bits it does neither.
    image = Image.fromarray(top - stored if dtype is np.uint8 else stored)
    image.save(tmp_path / "film.tif", tiffinfo={262: 0})
    assert read_values(tmp_path / "film.tif") == pytest.approx([0, 0.2])


def test_orientation_and_metadata_through_load_imaged(tmp_path):
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3)
    Image.fromarray(stored).save(tmp_path / "film.png")
    load = LoadImaged("image", reader="monai_mae_ext.data.RadiographReader", ensure_channel_first=True)
    image = load({"image": tmp_path / "film.png"})["image"]
    np.testing.assert_allclose(image[0].numpy(), stored / 255, rtol=1e-6)
    assert image.shape == (1, 2, 3) and tuple(image.meta["spatial_shape"]) == (2, 3)
    np.testing.assert_array_equal(image.affine.numpy(), np.eye(4))


def test_films_of_several_formats_collate(tmp_path):
    write_dicom(tmp_path / "a.dcm", grey(0, 5), PixelSpacing=[0.2, 0.1])
    Image.new("L", (2, 1)).save(tmp_path / "b.png")
    load = LoadImaged("image", reader=RadiographReader, ensure_channel_first=True)
    batch = list_data_collate([load({"image": tmp_path / name}) for name in ("a.dcm", "b.png")])
    assert batch["image"].shape == (2, 1, 1, 2)


@pytest.mark.parametrize("element", ["PixelSpacing", "ImagerPixelSpacing"])
def test_pixel_spacing_is_rows_then_columns(tmp_path, element):
    _, meta = read_radiograph(write_dicom(tmp_path / "film", grey(0, 1), **{element: [0.2, 0.1]}))
    np.testing.assert_array_equal(meta["pixel_spacing"], [0.2, 0.1])
    np.testing.assert_array_equal(np.diag(meta["affine"]), [0.2, 0.1, 1, 1])


def test_metadata_tells_nothing_of_the_patient(tmp_path):
    _, meta = read_radiograph(write_dicom(tmp_path / "film", grey(0, 1), PixelSpacing=[0.2, 0.1]))
    assert set(meta) == {"spatial_shape", "original_channel_dim", "affine", "bits", "pixel_spacing"}


# Reduced films


def test_affine_of_a_reduced_film_maps_pixels_to_the_centres_of_their_boxes(tmp_path):
    path = write_dicom(tmp_path / "film", np.zeros((12, 9), "<u2"), PixelSpacing=[0.2, 0.1])
    whole, reduced = read_radiograph(path)[1]["affine"], read_radiograph(path, max_side=3)[1]
    np.testing.assert_allclose(reduced["pixel_spacing"], [0.6, 0.3])
    assert tuple(reduced["spatial_shape"]) == (4, 3) and tuple(reduced["stored_shape"]) == (12, 9)
    for row, column in (0, 0), (3, 2):
        centre = 3 * row + 1, 3 * column + 1  # the middle one of three stored pixels
        np.testing.assert_allclose(reduced["affine"] @ (row, column, 0, 1), whole @ (*centre, 0, 1))


def test_without_spacing_a_pixel_of_a_reduced_film_is_as_wide_as_its_box(tmp_path):
    Image.new("L", (10, 8)).save(tmp_path / "film.png")
    _, meta = read_radiograph(tmp_path / "film.png", max_side=2)
    np.testing.assert_array_equal(meta["affine"], [[4, 0, 0, 1.5], [0, 4, 0, 1.5], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert "pixel_spacing" not in meta


def test_load_imaged_passes_max_side_and_films_of_all_sizes_have_the_same_metadata(tmp_path):
    Image.new("L", (40, 48), 51).save(tmp_path / "large.png")
    Image.new("L", (20, 24), 51).save(tmp_path / "small.png")
    load = LoadImaged("image", reader="monai_mae_ext.data.RadiographReader", max_side=20, ensure_channel_first=True)
    batch = list_data_collate([load({"image": tmp_path / name}) for name in ("large.png", "small.png")])
    assert batch["image"].shape == (2, 1, 24, 20)
    np.testing.assert_allclose(batch["image"].numpy(), 0.2)
    np.testing.assert_array_equal(batch["image"].meta["stored_shape"], [[48, 40], [24, 20]])


# Errors


@pytest.mark.parametrize("max_side", [0, -3])
def test_no_side_is_shorter_than_a_pixel(tmp_path, max_side):
    with pytest.raises(UserError, match=f"max_side is {max_side}"):
        read_radiograph(write_dicom(tmp_path / "film", grey(0, 1)), max_side)


def failing(path: Path, max_side: int | None = None) -> RadiographError:
    with pytest.raises(RadiographError) as caught:
        read_radiograph(path, max_side)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not any(value in str(caught.value) for value in PATIENT.values())
    return caught.value


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "dcm"])
def test_truncated(tmp_path, suffix):
    path = tmp_path / f"film.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    if suffix == "dcm":
        write_dicom(path, noise.astype("<u2"))
    else:
        Image.fromarray(noise).save(path)
    os.truncate(path, path.stat().st_size * 3 // 4)
    error = failing(path)
    assert error.problem == "truncated" and "download it again" in str(error)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n"])
@pytest.mark.parametrize("suffix", ["png", "dcm"])
def test_not_an_image(tmp_path, content, suffix):
    (tmp_path / f"film.{suffix}").write_bytes(content)
    assert failing(tmp_path / f"film.{suffix}").problem == "unreadable"


def test_no_such_file_and_a_folder(tmp_path):
    assert "No such file" in str(failing(tmp_path / "absent.png"))
    assert "directory" in str(failing(tmp_path))


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"PixelData": None}, "no pixel data"),
        ({"NumberOfFrames": 3}, "3 frames"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE COLOR"),
        ({"WindowCenter": 5, "WindowWidth": 0}, "Window Width"),
        ({"WindowCenter": 5, "WindowWidth": 9, "VOILUTFunction": "CUBIC"}, "CUBIC"),
        ({"VOILUTSequence": lut(0, 8, [0, 4095])}, "8 or 16 bit"),
    ],
)
def test_dicom_that_is_no_displayable_film(tmp_path, elements, said):
    error = failing(write_dicom(tmp_path / "film.dcm", grey(0, 1), **elements))
    assert said in str(error) and error.problem == "unreadable"


@pytest.mark.parametrize(("syntax", "cure"), [(JPEGLosslessSV1, "pip install"), (MPEG2MPML, "gdcmconv")])
def test_compression_without_decoder_names_the_cure(tmp_path, monkeypatch, syntax, cure):
    path = write_dicom(tmp_path / "film.dcm", grey(0, 1))
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pydicom.encaps.encapsulate([b"compressed"])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)
    if syntax == JPEGLosslessSV1:
        decoder = pydicom.pixels.get_decoder(syntax)
        monkeypatch.setattr(decoder, "_available", {})
    assert cure in str(failing(path)) and syntax.name in str(failing(path))


def test_multi_frame_tiff(tmp_path):
    frame = Image.new("L", (8, 8))
    frame.save(tmp_path / "film.tif", save_all=True, append_images=[frame])
    assert "2 frames" in str(failing(tmp_path / "film.tif"))


def test_float_tiff_is_brightness_or_an_error(tmp_path):
    for name, value in ("good", 0.25), ("hounsfield", 40.0), ("nan", np.nan):
        Image.fromarray(np.array([[0, value]], dtype=np.float32)).save(tmp_path / f"{name}.tif")
    assert read_values(tmp_path / "good.tif") == [0, 0.25]
    assert "40" in str(failing(tmp_path / "hounsfield.tif"))
    assert failing(tmp_path / "nan.tif").problem == "non-finite"


@pytest.mark.parametrize(("value", "problem"), [(1.5, "unreadable"), (np.nan, "non-finite")])
def test_one_bad_value_is_not_averaged_away(tmp_path, value, problem):
    film = np.full((8, 8), 0.5, np.float32)
    film[5, 6] = value
    Image.fromarray(film).save(tmp_path / "film.tif")
    assert failing(tmp_path / "film.tif", max_side=2).problem == problem


def test_load_imaged_does_not_try_another_reader_on_a_bad_file(tmp_path):
    Image.new("L", (64, 64)).save(tmp_path / "film.tif", save_all=True, append_images=[Image.new("L", (64, 64))])
    load = Compose([LoadImaged("image", reader="monai_mae_ext.data.RadiographReader")])
    with pytest.raises(RuntimeError) as caught:
        load({"image": tmp_path / "film.tif"})
    assert "2 frames" in str(user_error_behind(caught.value))


def test_several_files_are_not_one_radiograph(tmp_path):
    with pytest.raises(UserError, match="one file is one radiograph, got 2"):
        RadiographReader().get_data(RadiographReader().read([tmp_path / "a.png", tmp_path / "b.png"]))


@pytest.mark.real_data
def test_a_chestxray14_film_saved_as_rgba_reads_the_same(tmp_path, real_data):
    path = real_data / "chestxray14" / "images" / "00000459_041.png"
    Image.open(path).convert("RGBA").save(tmp_path / "rgba.png")
    brightness, meta = read_radiograph(path)
    assert brightness.shape == (1024, 1024) and meta["bits"] == 8
    assert 0.1 < brightness.mean() < 0.9
    np.testing.assert_array_equal(read_radiograph(tmp_path / "rgba.png")[0], brightness)
