"""Small DICOM radiographs, written as a detector would, patient and all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

PATIENT = {"PatientName": "Doe^Jane", "PatientID": "MRN-4711", "PatientBirthDate": "19300101", "StudyDate": "20200202"}


def write_dicom(path: Path, stored: np.ndarray, syntax=ExplicitVRLittleEndian, **elements) -> Path:
    """Write a 12-bit secondary capture; ``elements`` change or add DICOM elements, None removes one."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = stored.tobytes()
    for name, value in {**PATIENT, **elements}.items():
        setattr(dataset, name, value)
        if value is None:
            delattr(dataset, name)
    dataset.save_as(path, enforce_file_format=True)
    return path


def lut(first: int, bits: int, entries: list[int], vr: str = "US") -> list[Dataset]:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", vr, entries if vr == "US" else np.array(entries, "<u2").tobytes())
    return [item]


def grey(*values: int) -> np.ndarray:
    return np.array([values], dtype="<u2")
