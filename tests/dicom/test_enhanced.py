from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import LegacyConvertedEnhancedCTImageStorage, RLELossless

from tests.dicom.scans import change, enhanced, expected_values, item, read, refusal, scan
from tests.dicom.test_orientation import TILTED, read_with_itk


def shuffled(images):
    return [images[k] for k in (2, 0, 3, 1)]


@pytest.mark.parametrize("object_class", [None, LegacyConvertedEnhancedCTImageStorage])
def test_frames_are_sorted_by_position(tmp_path, object_class):
    images = scan(4, 1.5 * TILTED[2], TILTED[:2])
    made = enhanced(shuffled(images))
    volume = read(tmp_path / "one", [change(made, SOPClassUID=object_class) if object_class else made])
    classic = read(tmp_path / "many", images)
    np.testing.assert_array_equal(volume.values, classic.values)
    np.testing.assert_allclose(volume.affine, classic.affine)
    assert volume.notes == ()


def test_an_independent_reader_agrees(tmp_path):
    made = enhanced(scan(4))
    made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 2.5
    volume = read(tmp_path, [made])
    values, affine = read_with_itk(tmp_path)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)
    np.testing.assert_array_equal(volume.values, values)


def test_each_frame_has_its_own_slope(tmp_path):
    images = scan(4)
    slopes = np.array([1, 0.5, 2.25, 4])
    for image, slope in zip(images, slopes, strict=True):
        image.RescaleSlope = slope
    values = read(tmp_path, [enhanced(shuffled(images))]).values
    np.testing.assert_allclose(values, (expected_values(images) + 1024) * slopes - 1024, rtol=1e-6)


def test_orientation_and_rescale_may_be_shared(tmp_path):
    images = scan(4)
    made = enhanced(images)
    for group in made.PerFrameFunctionalGroupsSequence:
        for name in ("PlaneOrientationSequence", "PixelValueTransformationSequence"):
            made.SharedFunctionalGroupsSequence[0][name] = group[name]
            delattr(group, name)
    np.testing.assert_array_equal(read(tmp_path, [made]).values, expected_values(images))


def test_compressed_frames_and_frames_in_several_files(tmp_path):
    images = scan(5)
    parts = [enhanced(images[::2]), enhanced(images[1::2])]
    for part in parts:
        part.compress(RLELossless)
    np.testing.assert_array_equal(read(tmp_path, parts, RLELossless).values, expected_values(images))


def test_headers_tell_frame_and_place_and_keep_the_functional_groups(tmp_path):
    images = scan(4)
    made = enhanced(shuffled(images))
    headers = read(tmp_path, [made]).headers
    assert [header.ReferencedFrameNumber for header in headers] == [2, 4, 1, 3]
    for header, image in zip(headers, images, strict=True):
        assert header.ImagePositionPatient == image.ImagePositionPatient
        assert header.SOPInstanceUID == made.SOPInstanceUID and "PixelData" not in header
        assert len(header.PerFrameFunctionalGroupsSequence) == 4


def with_content(images, **values):
    """An enhanced object whose frame contents have ``values``, a list each."""
    made = enhanced(images)
    for k, group in enumerate(made.PerFrameFunctionalGroupsSequence):
        group.FrameContentSequence = item(**{name: each[k] for name, each in values.items()})
    return made


def test_several_stacks(tmp_path):
    message = refusal(tmp_path, [with_content(scan(4), StackID=["1", "1", "2", "2"])])
    assert "has images with 2 different StackIDs, which are no one stack" in message


def test_several_time_points(tmp_path):
    made = with_content([*scan(2), *scan(2, seed=1)], TemporalPositionIndex=[1, 1, 2, 2])
    message = refusal(tmp_path, [made])
    assert "up to 2 different images at 2 of 2 positions" in message
    assert "TemporalPositionIndex tells them apart" in message


def test_a_missing_frame(tmp_path):
    assert "lacks 1 slice at 32.50 mm" in refusal(tmp_path, [enhanced([*scan(4)[:1], *scan(4)[2:]])])


def test_a_frame_without_a_place(tmp_path):
    made = enhanced(scan(3))
    del made.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence
    assert "has no ImagePositionPatient in frame 2 of image 1 (UID ending" in refusal(tmp_path, [made])


@pytest.mark.parametrize(("groups", "said"), [(None, "but 0 frames"), ([Dataset()] * 2, "but 2 frames")])
def test_frames_that_are_not_described(tmp_path, groups, said):
    made = change(enhanced(scan(3)), PerFrameFunctionalGroupsSequence=groups)
    assert f"has 3 frames in image 1 (UID ending {made.SOPInstanceUID[-8:]}), {said}" in refusal(tmp_path, [made])
