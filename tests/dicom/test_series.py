from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    RLELossless,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from monai_mae_ext.dicom.series import find_series, survey_folder
from monai_mae_ext.dicom.volume import read_series
from monai_mae_ext.errors import UserError
from tests.dicom.scans import assert_discreet, change, only_series, read, scan, write, write_scan


def real(name: str) -> Path:
    """A file that comes with pydicom."""
    return Path(str(get_testdata_file(name)))


def test_series_are_found_by_content_below_the_folder_and_sorted_by_number(tmp_path):
    write_scan(tmp_path / "a", scan(3, seed=1, SeriesNumber=12))
    write_scan(tmp_path / "b" / "deep", scan(2, seed=2, SeriesNumber=3, Modality="MR"))
    write_scan(tmp_path / "b", scan(2, seed=3, SeriesNumber=None))
    (tmp_path / "b" / "notes.dcm").write_text("no DICOM, whatever it is called")
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "dangling.dcm").symlink_to(tmp_path / "gone.dcm")
    found = find_series(tmp_path)
    facts = [(one.number, one.modality, len(one.files)) for one in found]
    assert facts == [(3, "MR", 2), (12, "CT", 3), (None, "CT", 2)]
    assert found[1].uid == "1.2.3.2" and found[1].study_uid == "1.2.3" and found[1].notes == ()
    assert all(path.parent == tmp_path / "a" for path in found[1].files)


def test_a_series_is_named_by_number_modality_and_uid(tmp_path):
    write_scan(tmp_path, scan(2, SeriesInstanceUID="1.2.840.123456.7890"))
    assert str(only_series(tmp_path)) == "series 4 (CT, UID ending 456.7890)"
    write_scan(tmp_path / "b", scan(2, SeriesInstanceUID="1.2.3.4", SeriesNumber=None, Modality=None))
    assert str(find_series(tmp_path)[1]) == "series without number (no modality, UID ending 1.2.3.4)"


def test_localizers_are_left_out_and_reported(tmp_path):
    images = scan(4)
    write_scan(tmp_path, images)
    scout = scan(1, seed=0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], axes=((1, 0, 0), (0, 0, -1)))
    write_scan(tmp_path / "scout", scout)
    survey = survey_folder(tmp_path)
    assert [str(one) for one in survey.passed_over] == ["1 file of series 4 (CT, UID ending 1.2.3.1): localizer"]
    assert survey.passed_over[0].files[0].parent == tmp_path / "scout"
    (series,) = survey.series
    assert series.notes == ("1 file left out: localizer",) == read_series(series).notes
    assert read_series(series).values.shape[2] == 4


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize(
    ("object_class", "name"),
    [
        (SecondaryCaptureImageStorage, "Secondary Capture Image Storage"),
        (SegmentationStorage, "Segmentation Storage"),
        (RTStructureSetStorage, "RT Structure Set Storage"),
        (GrayscaleSoftcopyPresentationStateStorage, "Grayscale Softcopy Presentation State Storage"),
        ("1.2.3.4.5.6", "1.2.3.4.5.6"),
        ("Doe's own class", "object of an unknown class"),
    ],
)
def test_objects_that_no_scanner_measured_are_passed_over_by_class(tmp_path, object_class, name):
    write_scan(tmp_path, scan(1, SOPClassUID=object_class))
    (passed,) = survey_folder(tmp_path).passed_over
    assert passed.reason == name
    with pytest.raises(UserError) as caught:
        find_series(tmp_path)
    assert f"(only 1 file of series 4 (CT, UID ending 1.2.3.1): {name})" in str(caught.value)
    assert_discreet(str(caught.value).removeprefix(str(tmp_path)))


def test_films_are_series_but_no_volumes(tmp_path):
    write_scan(tmp_path, scan(2, SOPClassUID=DigitalXRayImageStorageForPresentation, Modality="DX"))
    series = only_series(tmp_path)
    assert series.modality == "DX" and len(series.files) == 2
    with pytest.raises(UserError, match=r"^series 4 \(DX, .*\) holds films, which are no volume: give a CT"):
        read_series(series)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("share", [0.3, 0.98])
def test_a_truncated_file_is_noted_and_does_not_stop_the_others(tmp_path, syntax, share):
    *images, last = scan(4)
    write_scan(tmp_path, images)
    if syntax == RLELossless:
        last.compress(RLELossless)
    path = write(tmp_path / "doe_jane.dcm", last, syntax)
    os.truncate(path, int(path.stat().st_size * share))
    survey = survey_folder(tmp_path)
    assert len(survey.series) == 1 and read_series(survey.series[0]).values.shape[2] == 3
    (passed,) = survey.passed_over
    assert passed.files == (path,) and passed.reason in ("truncated, or without pixels", "object of an unknown class")
    if share > 0.9:
        assert survey.series[0].notes == ("1 file left out: truncated, or without pixels",)
    assert_discreet(str(passed))


def test_what_pydicom_finds_odd_is_not_quoted(tmp_path, recwarn, caplog):
    for path in write_scan(
        tmp_path, scan(2, StudyInstanceUID="1.2.3.4567", FrameOfReferenceUID="1.2.3.4567")
    ).iterdir():
        path.write_bytes(path.read_bytes().replace(b"1.2.3.4567", b"Doe^Jane??"))
    read_series(only_series(tmp_path))
    assert not recwarn.list and not caplog.text


def test_a_file_that_pydicom_cannot_parse_is_noted(tmp_path):
    write_scan(tmp_path, scan(2))
    (tmp_path / "doe.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\x00\x10\x00??" + b"\xff" * 40)
    survey = survey_folder(tmp_path)
    assert len(survey.series[0].files) == 2
    assert [path.name for passed in survey.passed_over for path in passed.files] == ["doe.dcm"]


def test_a_file_without_preamble_is_dicom_if_it_tells_its_class(tmp_path):
    images = scan(3)
    for path in write_scan(tmp_path, images).iterdir():
        path.write_bytes(path.read_bytes()[132:])
    volume = read_series(only_series(tmp_path))
    assert volume.values.shape[2] == 3
    (tmp_path / "other").write_bytes(b"\x08\x00" + b"\x00" * 100)
    assert len(only_series(tmp_path).files) == 3 and survey_folder(tmp_path).passed_over == ()


def test_an_image_without_series_uid_is_reported(tmp_path):
    write_scan(tmp_path, scan(1, SeriesInstanceUID=None))
    (passed,) = survey_folder(tmp_path).passed_over
    assert str(passed) == "1 file of unknown series: image without a SeriesInstanceUID"


def test_no_folder_and_an_empty_one(tmp_path):
    with pytest.raises(UserError, match="absent is not a folder: give one that holds DICOM files"):
        find_series(tmp_path / "absent")
    with pytest.raises(UserError, match="holds no CT, MR, PET or film series: give the folder"):
        find_series(tmp_path)


def test_a_real_exchange_medium(tmp_path):
    survey = survey_folder(real("DICOMDIR").parent)
    assert not any("DICOMDIR" in path.name for passed in survey.passed_over for path in passed.files)
    (head,) = (one for one in survey.series if one.uid.endswith("6302.0.6"))
    volume = read_series(head)
    np.testing.assert_allclose(np.diff([header.SliceLocation for header in volume.headers]), 2.5)
    np.testing.assert_allclose(np.linalg.norm(volume.affine[:3, :3], axis=0), [0.488281, 0.488281, 2.5])
    assert -1024 <= volume.values.min() < -500 < 0 < volume.values.max() < 3000


def test_copies_of_a_real_slice_in_several_encodings_are_one(tmp_path):
    for ending in ("", "_RLE", "_bigendian", "_implicit", "_padded"):
        shutil.copy(real(f"MR_small{ending}.dcm"), tmp_path)
    volume = read_series(only_series(tmp_path))
    assert volume.values.shape == (64, 64, 1)
    assert volume.notes[0] == "4 copies of slices, with the same position and pixels, left out"


def test_unreadable_numbers_do_not_stop_the_search(tmp_path):
    images = scan(2)
    path = write(tmp_path / "a", change(images[0], SeriesNumber=1234))
    path.write_bytes(path.read_bytes().replace(b"1234", b"Doe "))
    assert str(only_series(tmp_path)) == "series without number (CT, UID ending 1.2.3.1)"
    assert read(tmp_path / "b", scan(2)).values.shape[2] == 2
