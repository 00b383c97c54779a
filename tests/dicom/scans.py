"""Small DICOM series, written as a scanner and a careless archive would: patient everywhere, names in no order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import DSfloat

from monai_mae_ext.dicom.series import Series, find_series
from monai_mae_ext.dicom.volume import Volume, read_series
from monai_mae_ext.errors import UserError

PATIENT = {
    "PatientName": "Doe^Jane",
    "PatientID": "MRN-Q47X",
    "PatientBirthDate": "19300517",
    "SeriesDescription": "Thorax of Doe",
    "StudyDescription": "MRN-Q47X",
    "ProtocolName": "Doe Protocol",
    "ImageComments": "called on 19300517",
}
SECRETS = ("doe", "jane", "mrn", "q47x", "19300517", "thorax")
AXIAL = ((1, 0, 0), (0, 1, 0))
CORONAL = ((1, 0, 0), (0, 0, -1))
SAGITTAL = ((0, 1, 0), (0, 0, -1))
ROWS, COLUMNS = 5, 4


def decimals(values) -> list[DSfloat]:
    return [DSfloat(float(value), auto_format=True) for value in values]


def image(stored: np.ndarray, **elements) -> Dataset:
    """A 12-bit grey CT image without a place; ``elements`` change or add DICOM elements, None removes one."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, generate_uid()
    made.Modality, made.SeriesNumber = "CT", 4
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.Rows, made.Columns = stored.shape[-2:]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.RescaleSlope, made.RescaleIntercept = 1, -1024
    made.PixelData = stored.astype("<u2").tobytes()
    return change(made, **{**PATIENT, **elements})


def change(made: Dataset, **elements) -> Dataset:
    for name, value in elements.items():
        setattr(made, name, value)
        if value is None:
            delattr(made, name)
    return made


def scan(
    n: int = 4,
    step: Sequence[float] = (0, 0, 2.5),
    axes: Sequence[Sequence[float]] = AXIAL,
    origin: Sequence[float] = (-20, 10, 30),
    spacing: Sequence[float] = (0.75, 0.5),
    seed: int = 0,
    **elements,
) -> list[Dataset]:
    """``n`` images of noise; ``step`` is the vector, mm, from each to the next, ``spacing`` a DICOM PixelSpacing."""
    stored = np.random.default_rng(seed).integers(0, 4096, (n, ROWS, COLUMNS))
    common = {"SeriesInstanceUID": f"1.2.3.{seed + 1}", "StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.3.9"}
    place = {"ImageOrientationPatient": decimals(np.ravel(axes)), "PixelSpacing": decimals(spacing)}
    return [
        image(
            stored[k],
            **{
                **common,
                **place,
                "ImagePositionPatient": decimals(np.add(origin, np.multiply(k, step))),
                "InstanceNumber": n - k,
                **elements,
            },
        )
        for k in range(n)
    ]


def item(**elements) -> list[Dataset]:
    """A sequence of one item."""
    return [change(Dataset(), **elements)]


def enhanced(images: Sequence[Dataset], shared: Dataset | None = None, **elements) -> Dataset:
    """One enhanced CT of the images of a ``scan``, with their geometry and rescale in functional groups."""
    made = image(np.concatenate([np.frombuffer(each.PixelData, "<u2").reshape(1, ROWS, COLUMNS) for each in images]))
    for name in ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
        setattr(made, name, images[0][name].value)
    change(made, RescaleSlope=None, RescaleIntercept=None, SOPClassUID=EnhancedCTImageStorage, InstanceNumber=1)
    made.NumberOfFrames = len(images)
    made.SharedFunctionalGroupsSequence = [shared or Dataset()]
    made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence = item(PixelSpacing=images[0].PixelSpacing)
    made.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=item(ImagePositionPatient=each.ImagePositionPatient),
            PlaneOrientationSequence=item(ImageOrientationPatient=each.ImageOrientationPatient),
            PixelValueTransformationSequence=item(
                RescaleSlope=each.RescaleSlope, RescaleIntercept=each.RescaleIntercept
            ),
        )[0]
        for each in images
    ]
    return change(made, **elements)


def write(path: Path, made: Dataset, syntax: UID = ExplicitVRLittleEndian) -> Path:
    made.file_meta.TransferSyntaxUID = syntax
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def write_scan(folder: Path, images: Sequence[Dataset], syntax: UID = ExplicitVRLittleEndian) -> Path:
    """Write images under names that bear the patient's and do not follow their order."""
    numbers = random.Random(0).sample(range(100), len(images))
    for number, made in zip(numbers, images, strict=True):
        write(folder / f"doe_jane_{number:02}.ima", made, syntax)
    return folder


def only_series(folder: Path) -> Series:
    (series,) = find_series(folder)
    return series


def read(folder: Path, images: Sequence[Dataset], syntax: UID = ExplicitVRLittleEndian) -> Volume:
    """The volume of ``images``, whose notes tell nothing of the patient."""
    volume = read_series(only_series(write_scan(folder, images, syntax)))
    for note in volume.notes:
        assert_discreet(note)
    return volume


def refusal(folder: Path, images: Sequence[Dataset], syntax: UID = ExplicitVRLittleEndian) -> str:
    """The message that refuses ``images``: one line that names the series, and nothing of the patient."""
    series = only_series(write_scan(folder, images, syntax))
    with pytest.raises(UserError) as caught:
        read_series(series)
    message = str(caught.value)
    assert message.startswith(str(series)) and ": " in message
    assert_discreet(message)
    return message


def assert_discreet(message: str) -> None:
    assert "\n" not in message and not any(secret in message.lower() for secret in SECRETS), message


def expected_values(images: Sequence[Dataset]) -> np.ndarray:
    """Hounsfield units (columns, rows, slices) of the images of a ``scan``, in their order."""
    stored = [np.frombuffer(each.PixelData, "<u2").reshape(each.Rows, each.Columns) for each in images]
    return np.stack(stored, axis=-1).astype(int).swapaxes(0, 1) - 1024
