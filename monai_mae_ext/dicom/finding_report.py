"""Findings on a chest film as a DICOM structured report."""

from __future__ import annotations

import os
from collections.abc import Mapping

import highdicom
from highdicom.sr import (
    AlgorithmIdentification,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes

from monai_mae_ext.dicom.algorithm import Algorithm
from monai_mae_ext.dicom.codes import finding_code
from monai_mae_ext.dicom.elements import discreet
from monai_mae_ext.dicom.source import source_headers
from monai_mae_ext.files import atomic_write

__all__ = ["save_finding_report"]

SERIES_NUMBER = 901
PRESENCE = {True: codes.SCT.Present, False: codes.SCT.Absent}


def save_finding_report(
    path: str | os.PathLike,
    probabilities: Mapping[str, float],
    present: Mapping[str, bool],
    film: Dataset,
    algorithm: Algorithm,
) -> None:
    """Write a Comprehensive SR after TID 1500: a group a finding, of its probability and whether it is present.

    The report is marked as unverified: nobody has looked at it.

    Args:
        path: of the file.
        probabilities: calibrated, in [0, 1], by the findings' names.
        present: whether they are at or above their thresholds; of a finding without a threshold nothing is said.
        film: the header of the image that was classified.
        algorithm: that made the predictions.
    """
    device = DeviceObserverIdentifyingAttributes(
        highdicom.UID(), algorithm.name, algorithm.equipment["manufacturer"], algorithm.name, algorithm.version
    )
    content = MeasurementReport(
        ObservationContext(observer_device_context=ObserverContext(codes.DCM.Device, device)),
        procedure_reported=codes.SCT.PlainRadiography,
        imaging_measurements=[
            finding_group(name, probability, present.get(name), film, algorithm)
            for name, probability in probabilities.items()
        ],
        title=codes.DCM.ImagingMeasurementReport,
    )
    with discreet():
        report = ComprehensiveSR(
            evidence=source_headers([film]),
            content=content,
            series_instance_uid=highdicom.UID(),
            series_number=SERIES_NUMBER,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            is_complete=True,
            is_verified=False,
            series_description=f"Findings by {algorithm.name}"[:64],
            **algorithm.equipment,
        )
    with atomic_write(path) as temporary:
        report.save_as(temporary)


def finding_group(
    name: str, probability: float, present: bool | None, film: Dataset, algorithm: Algorithm
) -> MeasurementsAndQualitativeEvaluations:
    """What is said of one finding."""
    judgement = []
    if present is not None:
        judgement.append(QualitativeEvaluation(codes.DCM.PresenceOfProperty, PRESENCE[present]))
    return MeasurementsAndQualitativeEvaluations(
        TrackingIdentifier(highdicom.UID(), name),
        finding_type=finding_code(name),
        algorithm_id=AlgorithmIdentification(algorithm.name, algorithm.version),
        measurements=[Measurement(codes.DCM.Probability, probability, codes.UCUM.NoUnits)],
        qualitative_evaluations=judgement,
        source_images=[SourceImageForMeasurementGroup(film.SOPClassUID, film.SOPInstanceUID)],
    )
