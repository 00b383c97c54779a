"""Abdominal phantoms as a hospital exports them: a folder a study, of CT slices with names that say nothing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import DSfloat

from monai_mae_ext.errors import UserError
from monai_mae_ext.phantoms.abdomen_phantom import abdomen_phantom
from monai_mae_ext.phantoms.record import is_complete, write_record

__all__ = ["write_abdomen_studies"]

AIR = -1024


def write_abdomen_studies(out_dir: str | os.PathLike, n_studies: int = 2, spacing: float = 3.0, seed: int = 0) -> Path:
    """Write phantom CT studies, one a patient, each of one axial series.

    Args:
        out_dir: gets ``study_01/`` and so on, and ``phantoms.json``, which records these arguments.
        n_studies: how many, at least 1.
        spacing: of the voxels in millimetres, from 1 to 6; slices are 1.25 times as thick.
        seed: which studies.

    Returns:
        ``out_dir``.

    Raises:
        UserError: if ``out_dir`` holds anything but these studies, or an argument is out of range.
    """
    folder = Path(out_dir)
    if n_studies < 1 or seed < 0 or not 1 <= spacing <= 6:
        raise UserError(
            f"n_studies is at least 1, seed at least 0 and spacing in 1..6, got {n_studies}, {seed} and {spacing}"
        )
    arguments = {"n_studies": n_studies, "spacing": spacing, "seed": seed}
    if is_complete(folder, arguments):
        return folder
    write_record(folder, arguments, complete=False)
    for number in range(n_studies):
        phantom = abdomen_phantom(seed * 1000 + number, (spacing, spacing, 1.25 * spacing))
        write_series(folder / f"study_{number + 1:02d}", phantom.image, phantom.affine, f"{seed}-{number}")
    write_record(folder, arguments, complete=True)
    return folder


def write_series(folder: Path, image: np.ndarray, affine: np.ndarray, patient: str) -> None:
    """Write ``image (X, Y, Z)`` in Hounsfield units, RAS, as one axial series of ``patient``."""
    folder.mkdir(parents=True, exist_ok=True)
    turned = image[::-1, ::-1]
    corner = np.append(np.array(image.shape[:2]) - 1, 0)
    spacing = np.abs(np.diag(affine)[:3])
    for k in range(image.shape[2]):
        position = (affine @ [*corner[:2], k, 1])[:3] * [-1, -1, 1]
        slice_ = ct_slice(turned[:, :, k], position, spacing, patient, k + 1)
        slice_.save_as(folder / f"{slice_.SOPInstanceUID[-10:]}.dcm", enforce_file_format=True)


def ct_slice(values: np.ndarray, position: np.ndarray, spacing: np.ndarray, patient: str, number: int) -> Dataset:
    """One slice: ``values (columns, rows)``, its corner in DICOM's patient coordinates, spacing of all three axes."""
    stored = np.clip(values.T - AIR, 0, 4095).astype("<u2")
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = CTImageStorage
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = (
        generate_uid(entropy_srcs=["abdomen phantom", patient, part]) for part in ("study", "series", "frame")
    )
    made.SOPInstanceUID = generate_uid(entropy_srcs=["abdomen phantom", patient, "image", str(number)])
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.Modality, made.Manufacturer = "CT", "monai_mae_ext phantom"
    made.PatientID, made.PatientName = f"PHANTOM-{patient}", f"Phantom^{patient}"
    made.PatientBirthDate = made.PatientSex = ""
    made.StudyDate = made.StudyTime = made.AccessionNumber = made.StudyID = made.ReferringPhysicianName = ""
    made.PatientIdentityRemoved = "YES"
    made.SeriesNumber, made.InstanceNumber, made.PatientPosition = 1, number, "HFS"
    made.BodyPartExamined = "ABDOMEN"
    made.ImagePositionPatient = [DSfloat(float(value), auto_format=True) for value in position]
    made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    made.PixelSpacing = [DSfloat(float(spacing[1]), auto_format=True), DSfloat(float(spacing[0]), auto_format=True)]
    made.SliceThickness = DSfloat(float(spacing[2]), auto_format=True)
    made.Rows, made.Columns = stored.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.RescaleIntercept, made.RescaleSlope, made.RescaleType = AIR, 1, "HU"
    made.WindowCenter, made.WindowWidth = 40, 400
    made.PixelData = stored.tobytes()
    return made
