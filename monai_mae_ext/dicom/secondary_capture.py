"""Pictures, such as overlays, as DICOM secondary captures."""

from __future__ import annotations

import os

import highdicom
import numpy as np
from highdicom.sc import SCImage
from PIL import Image
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from monai_mae_ext.dicom.algorithm import Algorithm
from monai_mae_ext.dicom.elements import discreet
from monai_mae_ext.dicom.source import source_headers
from monai_mae_ext.files import atomic_write

__all__ = ["save_secondary_capture"]

SERIES_NUMBER = 902


def save_secondary_capture(
    path: str | os.PathLike, picture: str | os.PathLike, source: Dataset, algorithm: Algorithm
) -> None:
    """Write a picture file as a colour secondary capture of the patient and study that ``source`` belongs to."""
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB"))
    with discreet():
        capture = SCImage.from_ref_dataset(
            source_headers([source])[0],
            pixels,
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            series_instance_uid=highdicom.UID(),
            series_number=SERIES_NUMBER,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            patient_orientation=("L", "F"),
            series_description=f"Overlay by {algorithm.name}"[:64],
            transfer_syntax_uid=ExplicitVRLittleEndian,
            **algorithm.equipment,
        )
    capture.PatientOrientation = source.get("PatientOrientation", "")  # which highdicom does not take empty
    if "BurnedInAnnotation" in source:
        capture.BurnedInAnnotation = source.BurnedInAnnotation
    with atomic_write(path) as temporary:
        capture.save_as(temporary)
