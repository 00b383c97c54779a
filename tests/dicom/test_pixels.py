from __future__ import annotations

import numpy as np
import pytest
from pydicom.uid import PositronEmissionTomographyImageStorage

from tests.dicom.scans import change, expected_values, item, read, refusal, scan


def stored_in(images):
    return expected_values(images) + 1024


def with_stored(images, stored, dtype="<u2"):
    """``images`` with the stored values (images, rows, columns), or one for all."""
    for k, image in enumerate(images):
        values = np.broadcast_to(stored, (len(images), image.Rows, image.Columns))[k]
        change(image, PixelData=values.astype(dtype).tobytes(), BitsStored=16, HighBit=15)
    return images


# Rescaling


def test_each_slice_has_its_own_slope_and_intercept(tmp_path):
    images = scan(3, SOPClassUID=PositronEmissionTomographyImageStorage, Modality="PT")
    slopes, intercepts = np.array([0.5, 1.25, 3.7]), np.array([0, -2, 10.5])
    for image, slope, intercept in zip(images, slopes, intercepts, strict=True):
        change(image, RescaleSlope=slope, RescaleIntercept=intercept)
    volume = read(tmp_path, images)
    assert volume.values.dtype == np.float32
    np.testing.assert_allclose(volume.values, stored_in(images) * slopes + intercepts, rtol=1e-6)


def test_signed_pixels(tmp_path):
    stored = np.arange(-10, 10).reshape(1, 5, 4)
    volume = read(tmp_path, with_stored(scan(2, PixelRepresentation=1, RescaleIntercept=0), stored, "<i2"))
    np.testing.assert_array_equal(volume.values[:, :, 1], stored[0].T)


@pytest.mark.parametrize(("top", "dtype"), [(33791, np.int16), (33792, np.float32), (65535, np.float32)])
def test_values_are_int16_only_if_they_fit(tmp_path, top, dtype):
    stored = np.full((5, 4), 7)
    stored[2, 3] = top
    volume = read(tmp_path, with_stored(scan(2), stored))
    assert volume.values.dtype == dtype and volume.values.max() == top - 1024


def test_a_ct_without_slope_is_noted_and_an_mr_is_not(tmp_path):
    ct = scan(2, RescaleSlope=None, RescaleIntercept=None)
    volume = read(tmp_path / "ct", ct)
    np.testing.assert_array_equal(volume.values, stored_in(ct))
    assert volume.notes == ("a CT without RescaleSlope: values are taken as Hounsfield units as they are stored",)
    assert read(tmp_path / "mr", scan(2, RescaleSlope=None, RescaleIntercept=None, Modality="MR")).notes == ()


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"RescaleSlope": 0}, "has a RescaleSlope of 0 in image"),
        ({"RescaleSlope": [1, 2]}, "has a malformed RescaleSlope in image"),
        ({"ModalityLUTSequence": item(LUTExplanation="Doe")}, "through a lookup table (ModalityLUTSequence) in image"),
    ],
)
def test_values_that_nothing_explains(tmp_path, elements, said):
    assert said in refusal(tmp_path, scan(3, **elements))


def test_monochrome1_is_a_matter_of_display(tmp_path):
    images = scan(2, PhotometricInterpretation="MONOCHROME1")
    volume = read(tmp_path, images)
    np.testing.assert_array_equal(volume.values, expected_values(images))
    assert volume.notes == ("MONOCHROME1: meant to be shown inverted, values left as measured",)


def test_loss_is_noted(tmp_path):
    images = scan(3)
    change(images[1], LossyImageCompression="01")
    assert read(tmp_path, images).notes == ("1 of 3 images were compressed with loss: values are not exact",)


def test_overlays_in_unused_bits_are_no_values(tmp_path):
    images = scan(2)
    values = expected_values(images)
    for image in images:
        image.PixelData = (np.frombuffer(image.PixelData, "<u2") | 0x8000).tobytes()
    np.testing.assert_array_equal(read(tmp_path, images).values, values)


def test_pixels_that_are_fewer_than_declared(tmp_path):
    images = scan(3)
    change(images[1], PixelData=images[1].PixelData[:20])
    message = refusal(tmp_path, images)
    assert "cannot decode image 2 (UID ending" in message and message.endswith("copy or export it again")


# Padding


def padded_scan(padding: int, dtype: str, **elements):
    """Values 100 to 119 with padding in one corner of every slice."""
    stored = np.arange(100, 120).reshape(5, 4)
    stored[0, 0] = padding
    signed = {"PixelRepresentation": 1 if dtype == "<i2" else 0, "RescaleIntercept": 0}
    return with_stored(scan(2, **signed, **elements), stored, dtype)


@pytest.mark.parametrize("declared", [-2000, 63536])
def test_dark_padding_is_left_as_stored(tmp_path, declared):
    images = padded_scan(-2000, "<i2")
    for image in images:
        image.add_new("PixelPaddingValue", "SS" if declared < 0 else "US", declared)
    volume = read(tmp_path, images)
    assert volume.values[0, 0, 0] == -2000
    assert volume.notes == ("padding, 5.0% of the voxels, left as stored",)


def test_bright_padding_gets_the_lowest_measured_value(tmp_path):
    images = padded_scan(63536, "<u2", PixelPaddingValue=63536)
    volume = read(tmp_path, images)
    assert volume.values[0, 0].tolist() == [101, 101] and volume.values.max() == 119
    assert volume.notes == (
        "padding, 5.0% of the voxels, was brighter than all measured values: set to the lowest of these, 101",
    )


def test_bright_padding_may_be_declared_as_negative(tmp_path):
    images = padded_scan(63536, "<u2")
    for image in images:
        image.add_new("PixelPaddingValue", "SS", -2000)
    assert read(tmp_path, images).values.max() == 119


def test_a_range_of_bright_padding(tmp_path):
    images = padded_scan(63000, "<u2", PixelPaddingValue=65535, PixelPaddingRangeLimit=60000)
    assert read(tmp_path, images).values.max() == 119


def test_padding_among_the_measured_values_is_left(tmp_path):
    volume = read(tmp_path, padded_scan(110, "<u2", PixelPaddingValue=110))
    assert volume.values[0, 0, 0] == 110 and volume.notes == ("padding, 10.0% of the voxels, left as stored",)


@pytest.mark.parametrize("value", [7, 110])
def test_padding_that_no_pixel_has_or_all_have_is_not_mentioned(tmp_path, value):
    images = with_stored(scan(2, PixelPaddingValue=7), np.full((5, 4), value))
    assert read(tmp_path, images).notes == ()
