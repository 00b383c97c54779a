"""DICOM segmentations, read back by dcmqi: other code than wrote them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import EnhancedCTImageStorage

from monai_mae_ext.dicom.algorithm import Algorithm
from monai_mae_ext.dicom.segmentation import save_segmentation
from monai_mae_ext.dicom.volume import Volume
from monai_mae_ext.errors import UserError
from tests.dicom.scans import AXIAL, CORONAL, SAGITTAL, assert_discreet, enhanced, read, scan

NAMES = ("background", "right kidney", "liver", "portal and splenic veins")
ORGANS = Algorithm("ct_multiorgan_segmentation", "0.1.0")
TURN = np.deg2rad(20)
OBLIQUE = ((np.cos(TURN), np.sin(TURN), 0), (-np.sin(TURN), np.cos(TURN), 0))
SERIES = {
    "axial": {},
    "head first and last": {"step": (0, 0, -2.5)},
    "flipped in plane": {"axes": ((-1, 0, 0), (0, -1, 0))},
    "coronal": {"axes": CORONAL, "step": (0, 2.5, 0)},
    "sagittal": {"axes": SAGITTAL, "step": (2.5, 0, 0)},
    "oblique": {"axes": OBLIQUE},
}


def some_labels(volume: Volume) -> np.ndarray:
    labels = np.random.default_rng(0).integers(0, 3, volume.values.shape).astype(np.uint8)
    labels[:, :, 1] = 0
    return labels


def segments_by_dcmqi(path: Path, folder: Path) -> tuple[dict[int, nib.nifti1.Nifti1Image], list[dict]]:
    """Masks by their segment's number, and what is said of the segments."""
    folder.mkdir()
    reader = Path(sys.executable).with_name("segimage2itkimage")
    words = [str(reader), "--inputDICOM", str(path), "--outputDirectory", str(folder), "--outputType", "nifti"]
    subprocess.run(words, check=True, capture_output=True)
    masks = {int(file.name.split(".")[0]): nib.nifti1.load(file) for file in folder.glob("*.nii.gz")}
    attributes = json.loads((folder / "meta.json").read_text())["segmentAttributes"]
    return masks, [segment for group in attributes for segment in group]


def places_of(mask: np.ndarray, affine: np.ndarray) -> set[tuple[float, ...]]:
    """Where the voxels of a mask are, in hundredths of a millimetre."""
    indices = np.argwhere(mask)
    points = indices @ affine[:3, :3].T + affine[:3, 3]
    return set(map(tuple, np.round(points * 100).astype(int).tolist()))


def segments_by_pydicom(path: Path) -> dict[int, set[tuple[float, ...]]]:
    """Where the voxels of each segment are: dcmqi does not read the sheared grid of a tilted gantry."""
    segmentation = pydicom.dcmread(path)
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    along_row, along_column = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    rows, columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    found: dict[int, set[tuple[float, ...]]] = {}
    for frame, groups in zip(segmentation.pixel_array, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        affine = np.eye(4)
        origin = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        affine[:3] = np.stack([along_row * columns, along_column * rows, np.zeros(3), origin], axis=1)
        affine[:2] *= -1
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        found.setdefault(number, set()).update(places_of(frame.T[..., None], affine))
    return found


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return read(tmp_path / "scan", scan())


@pytest.mark.parametrize("settings", SERIES.values(), ids=SERIES)
def test_another_reader_finds_the_same_voxels_at_the_same_places(tmp_path, settings):
    volume = read(tmp_path / "scan", scan(**settings))
    labels = some_labels(volume)
    save_segmentation(tmp_path / "seg.dcm", labels, volume.affine, NAMES, volume.headers, ORGANS)
    masks, _ = segments_by_dcmqi(tmp_path / "seg.dcm", tmp_path / "dcmqi")
    found = {number: places_of(np.asanyarray(mask.dataobj), mask.affine) for number, mask in masks.items()}
    assert found == {number: places_of(labels == number, volume.affine) for number in (1, 2, 3)}


def test_frames_of_a_tilted_gantry_lie_where_their_slices_do(tmp_path):
    volume = read(tmp_path / "scan", scan(axes=AXIAL, step=(0, 0.5, 2.5)))
    labels = some_labels(volume)
    save_segmentation(tmp_path / "seg.dcm", labels, volume.affine, NAMES, volume.headers, ORGANS)
    found = segments_by_pydicom(tmp_path / "seg.dcm")
    assert found == {number: places_of(labels == number, volume.affine) for number in (1, 2)}


def test_a_multi_frame_series_is_labelled_in_the_order_of_its_places(tmp_path):
    images = scan()
    volume = read(tmp_path / "scan", [enhanced([images[k] for k in (2, 0, 3, 1)], SOPClassUID=EnhancedCTImageStorage)])
    labels = some_labels(volume)
    save_segmentation(tmp_path / "seg.dcm", labels, volume.affine, NAMES, volume.headers, ORGANS)
    found = segments_by_pydicom(tmp_path / "seg.dcm")
    assert found == {number: places_of(labels == number, volume.affine) for number in (1, 2)}


def test_segments_tell_what_they_are_and_who_made_them(tmp_path, volume):
    save_segmentation(tmp_path / "seg.dcm", some_labels(volume), volume.affine, NAMES, volume.headers, ORGANS)
    _, segments = segments_by_dcmqi(tmp_path / "seg.dcm", tmp_path / "dcmqi")
    kidney, liver, veins = sorted(segments, key=lambda segment: segment["labelID"])
    assert kidney["SegmentLabel"] == "right kidney"
    assert kidney["SegmentedPropertyTypeCodeSequence"]["CodeValue"] == "64033007"
    assert kidney["SegmentedPropertyTypeModifierCodeSequence"]["CodeMeaning"] == "Right"
    assert liver["SegmentedPropertyTypeCodeSequence"]["CodeMeaning"] == "Liver"
    assert liver["SegmentAlgorithmType"] == "AUTOMATIC"
    assert liver["SegmentAlgorithmName"] == "ct_multiorgan_segmentation"
    assert veins["SegmentLabel"] == "portal and splenic veins"


def test_it_belongs_to_the_study_and_refers_to_every_slice_it_marks(tmp_path, volume):
    save_segmentation(tmp_path / "seg.dcm", some_labels(volume), volume.affine, NAMES, volume.headers, ORGANS)
    segmentation = pydicom.dcmread(tmp_path / "seg.dcm")
    source = volume.headers[0]
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "FrameOfReferenceUID"):
        assert segmentation[keyword].value == source[keyword].value
    assert segmentation.SeriesInstanceUID != source.SeriesInstanceUID
    (series,) = segmentation.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    named = {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence}
    assert named == {header.SOPInstanceUID for header in volume.headers}


@pytest.mark.parametrize(
    "elements",
    [
        {"PatientSex": "U"},
        {"StudyDate": None},
        {"PatientBirthDate": "1930"},
        {"PatientName": "Doe"},
        {"PatientID": None},
    ],
    ids=str,
)
def test_odd_headers_are_taken_and_no_warning_tells_the_name(tmp_path, elements, recwarn):
    volume = read(tmp_path / "scan", scan(**elements))
    save_segmentation(tmp_path / "seg.dcm", some_labels(volume), volume.affine, NAMES, volume.headers, ORGANS)
    assert pydicom.dcmread(tmp_path / "seg.dcm").NumberOfFrames > 0
    for warning in recwarn:
        assert_discreet(str(warning.message).replace("\n", " "))


def test_labels_without_a_name_are_refused(tmp_path, volume):
    with pytest.raises(UserError, match="label 2 has no name"):
        save_segmentation(tmp_path / "seg.dcm", some_labels(volume), volume.affine, NAMES[:2], volume.headers, ORGANS)
    assert not (tmp_path / "seg.dcm").exists()


def test_nothing_found_is_a_result_too(tmp_path, volume):
    save_segmentation(tmp_path / "seg.dcm", 0 * some_labels(volume), volume.affine, NAMES, volume.headers, ORGANS)
    segmentation = pydicom.dcmread(tmp_path / "seg.dcm")
    assert len(segmentation.SegmentSequence) == len(NAMES) - 1 and not segmentation.pixel_array.any()


def test_a_series_in_several_multi_frame_files_is_refused(tmp_path):
    images = scan(4)
    volume = read(tmp_path / "scan", [enhanced(images[:2]), enhanced(images[2:])])
    with pytest.raises(UserError, match="2 multi-frame files"):
        save_segmentation(tmp_path / "seg.dcm", some_labels(volume), volume.affine, NAMES, volume.headers, ORGANS)
