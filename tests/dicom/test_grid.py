from __future__ import annotations

import numpy as np
import pytest

from tests.dicom.scans import change, decimals, read, refusal, scan


def shifted(images, offsets):
    """``images`` moved by ``offsets`` (images, 3) mm."""
    for image, offset in zip(images, offsets, strict=True):
        change(image, ImagePositionPatient=decimals(np.add(image.ImagePositionPatient, offset)))
    return images


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ((2,), "lacks 1 slice at 35.00 mm along its axis, where slices are 2.50 mm apart"),
        ((2, 3, 6), "lacks 3 slices at 35.00, 37.50, 45.00 mm along"),
        (tuple(range(2, 8)), "lacks 6 slices at 35.00, 37.50, 40.00, 42.50, 45.00 and 1 more mm along"),
    ],
)
def test_missing_slices_are_named_by_position(tmp_path, lost, said):
    images = [image for k, image in enumerate(scan(14)) if k not in lost]
    message = refusal(tmp_path, images)
    assert said in message and "copy the series again, whole" in message


def test_the_middle_of_three_gaps_can_be_missing(tmp_path):
    assert "lacks 1 slice at 35.00 mm" in refusal(tmp_path, [image for k, image in enumerate(scan(4)) if k != 2])


def test_small_jitter_is_put_on_the_even_grid_from_first_to_last(tmp_path):
    volume = read(tmp_path, shifted(scan(5), [(0, 0, z) for z in (0, 0.1, -0.1, 0.1, 0.2)]))
    np.testing.assert_allclose(volume.affine[:3, 2], [0, 0, 2.55])
    assert volume.notes == (
        "slices 2.300 to 2.700 mm apart, up to 0.200 mm off an even grid: put on the even grid of 2.550 mm",
    )


def test_rounded_positions_are_no_jitter(tmp_path):
    volume = read(tmp_path, shifted(scan(5), [(0, 0, z) for z in (0, 0.005, -0.005, 0.005, 0)]))
    np.testing.assert_allclose(volume.affine[:3, 2], [0, 0, 2.5])
    assert volume.notes == ()


@pytest.mark.parametrize(
    ("offsets", "said"),
    [
        ([(0, 0, z) for z in (0, 0, 0, 1, 0)], "slices 1.500 to 3.500 mm apart, up to 1.000 mm off an even grid"),
        ([(0, 0, z) for z in (0, 0.3, 0.9, 1.8, 3)], "slices 2.800 to 3.700 mm apart, up to 0.600 mm off"),
        ([(x, 0, 0) for x in (0, 0, 4, 0, 0)], "slices 2.500 to 4.717 mm apart, up to 4.000 mm off"),
    ],
)
def test_uneven_slices_are_refused(tmp_path, offsets, said):
    message = refusal(tmp_path, shifted(scan(5), offsets))
    assert said in message and "more than 10% of their mean distance" in message
    assert message.endswith("give a series reconstructed with even spacing")


def test_two_blocks_of_different_spacing_are_uneven_and_lack_nothing(tmp_path):
    images = scan(4, (0, 0, 5)) + scan(4, (0, 0, 1), origin=(-20, 10, 46))
    assert "has slices 1.000 to 5.000 mm apart" in refusal(tmp_path, images)


@pytest.mark.parametrize(
    ("elements", "depth", "source"),
    [
        ({"SliceThickness": 3}, 3, "SliceThickness"),
        ({"SliceThickness": 3, "SpacingBetweenSlices": 4.5}, 4.5, "SpacingBetweenSlices"),
        ({"SliceThickness": 3, "SpacingBetweenSlices": -4.5}, 3, "SliceThickness"),
    ],
)
def test_a_single_slice_has_the_depth_that_its_header_tells(tmp_path, elements, depth, source):
    volume = read(tmp_path, scan(1, **elements))
    np.testing.assert_allclose(volume.affine[:3, 2], [0, 0, depth])
    assert volume.notes == (f"a single slice: its depth of {depth:g} mm is its {source}",)


def test_slice_thickness_says_nothing_of_several_slices(tmp_path):
    volume = read(tmp_path, scan(3, SliceThickness=7, SpacingBetweenSlices=9))
    np.testing.assert_allclose(volume.affine[:3, 2], [0, 0, 2.5])


def test_a_single_slice_of_unknown_depth_is_refused(tmp_path):
    message = refusal(tmp_path, scan(1))
    assert "is a single slice, and neither SpacingBetweenSlices nor SliceThickness tells its depth" in message


def test_slices_shifted_further_than_a_gantry_tilts_are_refused(tmp_path):
    message = refusal(tmp_path, scan(3, (0, 5, 2.5)))
    assert "has slices stacked at 63.4 degrees to their normal, more than any gantry tilts" in message


def test_a_few_hundredths_of_a_degree_are_no_shear(tmp_path):
    assert read(tmp_path, scan(3, (0, 0.001, 2.5))).notes == ()
