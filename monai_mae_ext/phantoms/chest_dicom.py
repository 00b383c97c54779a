"""Phantom films as DX images, as a digital radiography unit would send them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from monai_mae_ext.phantoms.chest_phantom import ChestPhantom

__all__ = ["write_phantom_dicom"]

WHITE = 4095  # the largest of 12 bits


def write_phantom_dicom(
    path: Path, phantom: ChestPhantom, patient: int, number: int, spacing: float, inverted: bool
) -> None:
    """Write ``phantom`` as film ``number`` of ``patient``, 12 bits in uint16, with made-up identifiers only.

    UIDs follow from patient, number and pixels: the same film gives the same bytes, another film other UIDs.
    ``spacing`` is in mm; ``inverted`` stores MONOCHROME1, where 0 is white.
    """
    name = f"PHANTOM-{patient:08d}"
    pixels = np.round(phantom.image * WHITE).astype(np.uint16)
    pixels = WHITE - pixels if inverted else pixels
    film = [name, str(number), hashlib.sha256(pixels.tobytes()).hexdigest()]
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = DigitalXRayImageStorageForPresentation
    image.StudyInstanceUID = generate_uid(entropy_srcs=[*film, "study"])
    image.SeriesInstanceUID = generate_uid(entropy_srcs=[*film, "series"])
    image.SOPInstanceUID = generate_uid(entropy_srcs=[*film, "image"])
    image.ImageType = ["ORIGINAL", "PRIMARY", ""]
    image.Modality = "DX"
    image.PresentationIntentType = "FOR PRESENTATION"
    image.Manufacturer = "monai_mae_ext phantom"
    image.PatientID, image.PatientName, image.PatientBirthDate = name, name, ""
    image.PatientAge, image.PatientSex = f"{phantom.age:03d}Y", phantom.sex
    image.PatientIdentityRemoved = "YES"
    image.StudyDate = image.StudyTime = image.AccessionNumber = image.StudyID = image.ReferringPhysicianName = ""
    image.SeriesNumber, image.InstanceNumber = 1, number
    image.BodyPartExamined, image.ViewPosition, image.ImageLaterality = "CHEST", phantom.view, "U"
    image.PatientOrientation = ["L", "F"]
    image.BurnedInAnnotation = "NO"
    image.LossyImageCompression = "00"
    image.Rows, image.Columns = pixels.shape
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    image.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    image.PixelIntensityRelationship = "LOG"
    image.PixelIntensityRelationshipSign = 1 if inverted else -1
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = 0, 1, "US"
    image.WindowCenter, image.WindowWidth = (WHITE + 1) // 2, WHITE + 1
    image.PixelSpacing = image.ImagerPixelSpacing = [spacing, spacing]
    image.PixelData = pixels.astype("<u2").tobytes()
    image.save_as(path, enforce_file_format=True)
