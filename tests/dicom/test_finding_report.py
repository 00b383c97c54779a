"""Structured reports, read back by pydicom."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from PIL import Image
from pydicom import Dataset

from monai_mae_ext.dicom.algorithm import Algorithm
from monai_mae_ext.dicom.finding_report import save_finding_report
from monai_mae_ext.dicom.secondary_capture import save_secondary_capture
from tests.dicom.scans import assert_discreet

FINDINGS = Algorithm("cxr_disease_classification", "0.1.0")


@pytest.fixture
def film(films: Path) -> Dataset:
    header = pydicom.dcmread(next(films.rglob("*.dcm")), stop_before_pixels=True)
    header.PatientName = "DoeJane"
    return header


def groups_of(path: Path) -> dict[str, list[Dataset]]:
    """The items of each finding's group, by the finding's name."""
    groups = [group.ContentSequence for group in pydicom.dcmread(path).ContentSequence[-1].ContentSequence]
    return {next(item.TextValue for item in group if "TextValue" in item): list(group) for group in groups}


def test_a_finding_is_present_absent_or_not_judged(film: Dataset, tmp_path: Path, recwarn) -> None:
    probabilities = {"Effusion": 0.83, "Mass": 0.1, "Hernia": 0.9}
    present = {"Effusion": True, "Mass": False}
    save_finding_report(tmp_path / "sr.dcm", probabilities, present, film, FINDINGS)
    judged = {}
    for name, items in groups_of(tmp_path / "sr.dcm").items():
        (number,) = [item for item in items if item.ValueType == "NUM"]
        assert float(number.MeasuredValueSequence[0].NumericValue) == probabilities[name]
        codes = [item.ConceptCodeSequence[0].CodeMeaning for item in items if item.ValueType == "CODE"]
        judged[name] = [meaning for meaning in codes if meaning in ("Present", "Absent")]
    assert judged == {"Effusion": ["Present"], "Mass": ["Absent"], "Hernia": []}
    for warning in recwarn:
        assert_discreet(str(warning.message).replace("\n", " "))


def test_a_report_is_unverified_and_refers_to_the_film(film: Dataset, tmp_path: Path) -> None:
    save_finding_report(tmp_path / "sr.dcm", {"Mass": 0.5}, {}, film, FINDINGS)
    report = pydicom.dcmread(tmp_path / "sr.dcm")
    assert report.VerificationFlag == "UNVERIFIED"
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    assert study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == film.SOPInstanceUID


@pytest.mark.parametrize("burnt", ["YES", "NO", None])
def test_an_overlay_has_the_colours_and_says_what_the_film_says_of_burnt_in_text(film, burnt, tmp_path) -> None:
    film.BurnedInAnnotation = burnt
    if burnt is None:
        del film.BurnedInAnnotation
    Image.new("RGB", (30, 20), (255, 0, 7)).save(tmp_path / "overlay.png")
    save_secondary_capture(tmp_path / "sc.dcm", tmp_path / "overlay.png", film, FINDINGS)
    capture = pydicom.dcmread(tmp_path / "sc.dcm")
    assert capture.pixel_array.shape == (20, 30, 3) and capture.pixel_array[0, 0].tolist() == [255, 0, 7]
    assert capture.get("BurnedInAnnotation") == burnt
