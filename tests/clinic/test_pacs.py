"""A study from a PACS, segmented, and back: the results arrive where the study is."""

from __future__ import annotations

from pathlib import Path

import pydicom

from monai_mae_ext.dicom.study import process_study
from tests.clinic.orthanc import Orthanc


def test_a_segmentation_joins_its_study(pacs: Orthanc, organs: Path, tmp_path: Path) -> None:
    series = pacs.series()[0]
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    for instance in series["Instances"]:
        (fetched / instance).write_bytes(pacs.ask(f"/instances/{instance}/file"))
    written, failures = process_study(str(fetched), str(organs), str(tmp_path / "out"), "tiny")
    assert failures == []
    pacs.store(written)
    found = pacs.find_series(pydicom.dcmread(next(fetched.iterdir())))
    assert sorted(each["00080060"]["Value"][0] for each in found) == ["CT", "SEG"]
    stored = next(each for each in pacs.series() if each["Modality"] == "SEG")
    (instance,) = stored["Instances"]
    (tmp_path / "again.dcm").write_bytes(pacs.ask(f"/instances/{instance}/file"))
    ours, theirs = (pydicom.dcmread(path) for path in (written[0], tmp_path / "again.dcm"))
    assert (ours.pixel_array == theirs.pixel_array).all() and ours.SegmentSequence == theirs.SegmentSequence
