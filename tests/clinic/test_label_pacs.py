"""The label server on a PACS: images and labels go through DICOMweb."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom

from monai_mae_ext.dicom import find_series, read_series
from monai_mae_ext.dicom.algorithm import Algorithm
from monai_mae_ext.dicom.segmentation import save_segmentation
from monai_mae_ext.phantoms import ORGANS
from tests.clinic.conftest import MODEL
from tests.clinic.orthanc import Orthanc

NAMES = [{"name": name, "model_name": MODEL} for name in ORGANS]


def series_of(studies: Path, number: int):
    (series,) = find_series(studies / f"study_{number:02d}")
    return series


def drawn(studies: Path, number: int) -> np.ndarray:
    """Labels as somebody could have drawn them: spleen and liver, not in all slices."""
    volume = read_series(series_of(studies, number))
    labels = np.digitize(volume.values, [0, 60]).astype(np.uint8)
    labels[labels == 2] = 6
    labels[:, :, :2] = labels[:, :, -1] = 0
    return labels


def test_the_series_of_the_pacs_are_the_images(server, studies: Path) -> None:
    assert server.answer("GET", "/datastore/")["total"] == 3
    image = server.answer("POST", "/activelearning/random", json={})["id"]
    assert image in {series_of(studies, number).uid for number in (1, 2, 3)}


def test_labels_come_on_the_grid_of_the_series(server, studies: Path) -> None:
    series = series_of(studies, 1)
    labels = nib.Nifti1Image.from_bytes(gzip.decompress(server.infer(MODEL, series.uid).content))
    volume = read_series(series)
    assert labels.shape == volume.values.shape
    np.testing.assert_allclose(labels.affine, volume.affine, atol=1e-3)


def test_an_inference_comes_as_dicom_segmentation_with_every_organ_by_its_name(server, studies: Path) -> None:
    series = series_of(studies, 1)
    answer = server.infer(MODEL, series.uid, output="dicom_seg", label_info=NAMES)
    assert answer.status_code == 200, answer.text
    segmentation = pydicom.dcmread(io.BytesIO(answer.content))
    named = {segment.SegmentNumber: segment for segment in segmentation.SegmentSequence}
    assert [segment.SegmentLabel for segment in named.values()] == list(ORGANS)
    assert named[6].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Liver"
    assert segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID == series.uid


def test_a_final_label_is_stored_in_the_study_and_trains(server, pacs: Orthanc, studies: Path, tmp_path: Path) -> None:
    truth = {series_of(studies, number).uid: drawn(studies, number) for number in (1, 2)}
    for number in (1, 2):
        volume = read_series(series_of(studies, number))
        nib.save(nib.Nifti1Image(drawn(studies, number), volume.affine), tmp_path / "label.nii.gz")
        server.save_label(series_of(studies, number).uid, tmp_path / "label.nii.gz", label_info=NAMES)
    stored = [series for series in pacs.series() if series["Modality"] == "SEG"]
    assert len(stored) == 2
    segmentation = pydicom.dcmread(io.BytesIO(pacs.ask(f"/instances/{stored[0]['Instances'][0]}/file")))
    counts = dict.fromkeys(range(1, len(ORGANS) + 1), 0)
    for frame, groups in zip(segmentation.pixel_array, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        counts[groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber] += int(frame.sum())
    labels = truth[segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID]
    assert counts == {number: int((labels == number).sum()) for number in counts}
    before = server.infer(MODEL, series_of(studies, 3).uid).content
    task = server.train(MODEL, max_epochs=2, device="cpu", val_split=0.5)
    assert task["status"] == "DONE", task
    assert server.infer(MODEL, series_of(studies, 3).uid).content != before, "the new weights answer"


def test_a_server_without_cache_gets_the_labels_back_whole(
    start_server, pacs: Orthanc, organs: Path, studies: Path, tmp_path: Path
) -> None:
    """The corrected label of the same image counts, and what a bundle alone found does not."""
    volume = read_series(series_of(studies, 1))
    corrected = np.zeros(volume.values.shape, np.uint8)
    corrected[4:9, 5:11, 3:5] = 6
    person, bundle = (Algorithm("somebody", "1", kind) for kind in ("MANUAL", "AUTOMATIC"))
    for number, maker in ((1, person), (3, bundle)):
        volume = read_series(series_of(studies, number))
        labels = corrected if number == 1 else np.ones_like(volume.values, np.uint8)
        names = ["background", "spleen", "Liver"] if number == 1 else ["background", *ORGANS]
        stored = np.where(labels == 6, 2, labels) if number == 1 else labels
        save_segmentation(tmp_path / "seg.dcm", stored, volume.affine, names, volume.headers, maker)
        pacs.store([tmp_path / "seg.dcm"])
    fresh = start_server(
        environment={"MONAI_LABEL_DICOMWEB_CACHE_PATH": str(tmp_path / "cache")},
        studies=pacs.dicomweb, bundles=str(organs.parent), overlays="tiny",
    )  # fmt: skip
    pairs = {Path(pair["image"]).name.removesuffix(".nii.gz"): pair["label"]
             for pair in fresh.answer("GET", "/datastore/?output=train")}  # fmt: skip
    assert set(pairs) == {series_of(studies, number).uid for number in (1, 2)}
    labels = {uid: np.asanyarray(nib.load(path).dataobj) for uid, path in pairs.items()}
    assert np.array_equal(labels[series_of(studies, 1).uid], corrected), "by its names, not its numbers"
    assert np.array_equal(labels[series_of(studies, 2).uid], drawn(studies, 2))


def test_the_log_tells_no_patient(server) -> None:
    log = server.log.read_text() + "".join(path.read_text() for path in Path(server.options["app_dir"]).rglob("*.log"))
    assert "PHANTOM-" not in log and "Phantom^" not in log
