"""A study from a PACS, segmented, and back: the results arrive where the study is."""

from __future__ import annotations

import pydicom

from monai_mae_ext.dicom.study import process_study
from monai_mae_ext.phantoms import write_abdomen_studies
from tests.clinic.orthanc import Orthanc


def test_a_segmentation_joins_its_study(orthanc: Orthanc, organs, tmp_path):
    study = write_abdomen_studies(tmp_path / "studies", 1, spacing=6) / "study_01"
    slices = sorted(study.iterdir())
    orthanc.store(slices)
    (series,) = orthanc.series()
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    for instance in series["Instances"]:
        (fetched / instance).write_bytes(orthanc.ask(f"/instances/{instance}/file"))
    written, failures = process_study(str(fetched), str(organs), str(tmp_path / "out"), "tiny")
    assert failures == []
    orthanc.store(written)
    found = orthanc.find_series(pydicom.dcmread(slices[0]))
    assert sorted(each["00080060"]["Value"][0] for each in found) == ["CT", "SEG"]
    stored = next(each for each in orthanc.series() if each["Modality"] == "SEG")
    (instance,) = stored["Instances"]
    (tmp_path / "again.dcm").write_bytes(orthanc.ask(f"/instances/{instance}/file"))
    ours, theirs = (pydicom.dcmread(path) for path in (written[0], tmp_path / "again.dcm"))
    assert (ours.pixel_array == theirs.pixel_array).all() and ours.SegmentSequence == theirs.SegmentSequence
