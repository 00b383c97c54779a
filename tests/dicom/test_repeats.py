from __future__ import annotations

import copy

import numpy as np
import pytest
from pydicom.uid import generate_uid

from tests.dicom.scans import change, expected_values, read, refusal, scan


def phases(n: int = 3, count: int = 2, **elements):
    """``count`` different volumes at the same positions; ``elements`` map a keyword to its value in each."""
    made = []
    for phase in range(count):
        values = {keyword: each[phase] for keyword, each in elements.items()}
        made += scan(n, seed=phase, SeriesInstanceUID="1.2.3.77", **values)
    return made


def twin(image):
    return change(copy.deepcopy(image), SOPInstanceUID=generate_uid(), InstanceNumber=99)


def test_exact_copies_are_used_once(tmp_path):
    images = scan(4)
    volume = read(tmp_path, [*images, twin(images[1]), twin(images[1]), twin(images[3])])
    np.testing.assert_array_equal(volume.values, expected_values(images))
    assert volume.notes == ("3 copies of slices, with the same position and pixels, left out",)
    assert len(volume.headers) == 4


def test_copies_that_store_values_differently_are_copies(tmp_path):
    images = scan(3)
    stored = np.frombuffer(images[1].PixelData, "<u2") + 24
    other = change(twin(images[1]), PixelData=stored.astype("<u2").tobytes(), RescaleIntercept=-1048, BitsStored=16)
    volume = read(tmp_path, [*images, change(other, HighBit=15)])
    np.testing.assert_array_equal(volume.values, expected_values(images))
    assert volume.notes == ("1 copy of slices, with the same position and pixels, left out",)


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("AcquisitionNumber", [1, 2]),
        ("TemporalPositionIdentifier", [1, 2]),
        ("EchoNumbers", [1, 2]),
        ("EchoTime", [10, 20.5]),
        ("ConvolutionKernel", ["B30f", "B70f"]),
        ("ImageType", [["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]]),
        ("ContentTime", ["101010", "101020"]),
    ],
)
def test_several_volumes_are_refused_with_the_element_that_tells_them_apart(tmp_path, keyword, values):
    message = refusal(tmp_path, phases(**{keyword: values}))
    assert "is more than one volume, with up to 2 different images at 3 of 3 positions" in message
    assert message.endswith(f"{keyword} tells them apart: split the series by it, and give one part")


def test_time_points_are_refused(tmp_path):
    message = refusal(tmp_path, phases(2, 4, TemporalPositionIdentifier=[1, 2, 3, 4]))
    assert "up to 4 different images at 2 of 2 positions (phases, echoes, time points or repeats)" in message
    assert "TemporalPositionIdentifier tells them apart" in message


def test_an_element_that_differs_in_every_image_is_not_named(tmp_path):
    images = phases()
    for k, image in enumerate(images):
        change(image, ContentTime=f"1010{k:02}")
    assert "nothing known here tells them apart" in refusal(tmp_path, images)


def test_acquisitions_that_overlap_in_part(tmp_path):
    images = scan(4, AcquisitionNumber=1, SeriesInstanceUID="1.2.3.7")
    images += scan(3, origin=(-20, 10, 35), seed=1, AcquisitionNumber=2, SeriesInstanceUID="1.2.3.7")
    message = refusal(tmp_path, images)
    assert "up to 2 different images at 2 of 5 positions" in message and "AcquisitionNumber" in message


def test_images_side_by_side_are_refused(tmp_path):
    images = scan(3, SeriesInstanceUID="1.2.3.7")
    images += scan(3, origin=(200, 10, 30), SeriesInstanceUID="1.2.3.7", AcquisitionNumber=2)
    assert "is more than one volume" in refusal(tmp_path, images)
