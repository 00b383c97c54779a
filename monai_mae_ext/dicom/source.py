"""Headers of source images as highdicom wants them, whatever an archive or an anonymiser left in them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pydicom import Dataset
from pydicom.valuerep import DA, TM

__all__ = ["source_headers"]

REQUIRED = ("PatientName", "PatientID", "AccessionNumber", "StudyID")
SEXES = ("M", "F", "O")
PLANE = ("PlaneOrientationSequence", "PixelMeasuresSequence")
TIMES: dict[str, Any] = {"PatientBirthDate": DA, "StudyDate": DA, "StudyTime": TM}


def source_headers(headers: Sequence[Dataset]) -> list[Dataset]:
    """Copies of the headers, each instance once: slices of a multi-frame series have theirs in common.

    Elements of patient and study that every result repeats are empty where they are missing or malformed.
    """
    return [completed(header) for header in {header.SOPInstanceUID: header for header in headers}.values()]


def completed(header: Dataset) -> Dataset:
    made = copy.deepcopy(header)
    for keyword in REQUIRED:
        setattr(made, keyword, header.get(keyword, ""))
    made.PatientSex = header.get("PatientSex") if header.get("PatientSex") in SEXES else ""
    for keyword, kind in TIMES.items():
        value = header.get(keyword)
        setattr(made, keyword, "")
        with suppress(ValueError, TypeError, OverflowError):
            setattr(made, keyword, kind(value) if value else "")
    if "SharedFunctionalGroupsSequence" in made:
        share_geometry(made)
    return made


def share_geometry(header: Dataset) -> None:
    """Say for all frames what the first one says of its plane: highdicom looks nowhere else."""
    shared, first = header.SharedFunctionalGroupsSequence[0], header.PerFrameFunctionalGroupsSequence[0]
    for keyword in PLANE:
        if keyword not in shared:
            setattr(shared, keyword, first[keyword].value)
