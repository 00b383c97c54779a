from __future__ import annotations

import numpy as np
import pytest

from monai_mae_ext.dicom.volume import read_series
from monai_mae_ext.errors import UserError
from tests.dicom.scans import CORONAL, assert_discreet, change, image, only_series, read, refusal, scan, write_scan


def with_odd_one(odd, n: int = 3):
    """A scan of ``n`` images, and another one after them, of the same series."""
    images = scan(n, SeriesInstanceUID="1.2.3.7")
    return [*images, change(odd, SeriesInstanceUID="1.2.3.7")]


def test_mixed_sizes(tmp_path):
    odd = scan(1, origin=(-20, 10, 37.5))[0]
    odd.update(image(np.zeros((8, 16))))
    message = refusal(tmp_path, with_odd_one(odd))
    assert "has images of 2 sizes (16 x 8, 4 x 5): split it, and give one size" in message


def test_mixed_orientations(tmp_path):
    message = refusal(tmp_path, with_odd_one(scan(1, axes=CORONAL)[0]))
    assert "has images at angles of up to 90.0 degrees to each other, as localizers" in message


def test_mixed_pixel_spacings(tmp_path):
    message = refusal(tmp_path, with_odd_one(scan(1, origin=(-20, 10, 37.5), spacing=(0.75, 0.6))[0]))
    assert "has images with a PixelSpacing of 0.5 to 0.75 mm" in message


def test_mixed_frames_of_reference(tmp_path):
    odd = scan(1, origin=(-20, 10, 37.5), FrameOfReferenceUID="1.2.3.10")[0]
    assert "has images with 2 different FrameOfReferenceUIDs" in refusal(tmp_path, with_odd_one(odd))


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}, "3 samples, RGB"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "1 samples, PALETTE COLOR"),
        ({"PhotometricInterpretation": None}, "of no PhotometricInterpretation"),
    ],
)
def test_colour(tmp_path, elements, said):
    message = refusal(tmp_path, scan(3, **elements))
    assert said in message and "image 3 (UID ending" in message


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_missing_geometry_names_the_element_and_the_image(tmp_path, keyword):
    images = scan(3)
    change(images[1], **{keyword: None})
    uid = images[1].SOPInstanceUID[-8:]
    message = refusal(tmp_path, images)
    assert f"has no {keyword} in image 2 (UID ending {uid}): export the scanner's own images" in message


@pytest.mark.parametrize(
    ("keyword", "values"), [("ImagePositionPatient", [1, 2]), ("PixelSpacing", [0.5]), ("ImageOrientationPatient", [1])]
)
def test_malformed_geometry(tmp_path, keyword, values):
    assert f"has a malformed {keyword} in image 2" in refusal(tmp_path, [change(scan(2)[0], **{keyword: values})])


def test_a_position_that_is_text_is_not_quoted(tmp_path):
    images = scan(3, ImagePositionPatient=[1.25, 2.25, 3.25])
    for path in write_scan(tmp_path, images).iterdir():
        path.write_bytes(path.read_bytes().replace(b"1.25\\2.25\\3.25", b"Doe \\Jane\\Q47X"))
    with pytest.raises(UserError, match="has a malformed ImagePositionPatient in image 3") as caught:
        read_series(only_series(tmp_path))
    assert_discreet(str(caught.value))


@pytest.mark.parametrize(
    "orientation", [(1, 0, 0, 0.1, 1, 0), (1, 0, 0, 1, 0, 0), (2, 0, 0, 0, 2, 0), (0, 0, 0, 0, 0, 0)]
)
def test_orientations_that_are_not_orthonormal(tmp_path, orientation):
    message = refusal(tmp_path, scan(3, ImageOrientationPatient=list(orientation)))
    assert "ImageOrientationPatient" in message and "no unit vectors at right angles (off by" in message


def test_orientations_rounded_to_four_decimals_are_accepted(tmp_path):
    turn = np.radians(33)
    axes = np.round([(np.cos(turn), np.sin(turn), 0), (-np.sin(turn), np.cos(turn), 0)], 4)
    assert read(tmp_path, scan(3, axes=axes)).notes == ()


def test_a_pixel_spacing_of_nothing(tmp_path):
    assert "has a PixelSpacing of 0 by 0.5 mm in image" in refusal(tmp_path, scan(3, spacing=(0, 0.5)))
