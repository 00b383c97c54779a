"""Finding the series that a folder of mixed DICOM files holds, and telling what was passed over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from monai_mae_ext.dicom.content import Content, look_at
from monai_mae_ext.dicom.elements import discreet
from monai_mae_ext.errors import UserError

__all__ = ["PassedOver", "Series", "Survey", "find_series", "survey_folder"]

UID_END = 8
SHOWN = 5


@dataclass(frozen=True)
class Series:
    """The files of one series of slices or films, sorted by path. ``notes`` say what was left out of it.

    As text it is named without anything that may hold a patient's name, as descriptions and file names do.
    """

    uid: str
    number: int | None
    modality: str
    study_uid: str
    files: tuple[Path, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return name_series(self.number, self.modality, self.uid)


@dataclass(frozen=True)
class PassedOver:
    """DICOM files that are neither slices nor films, of one series (in words) and for one ``reason``."""

    series: str
    reason: str
    files: tuple[Path, ...]

    def __str__(self) -> str:
        return f"{count_files(self.files)} of {self.series}: {self.reason}"


@dataclass(frozen=True)
class Survey:
    """What a folder holds: its ``series``, and what was ``passed_over``. Other files are not named."""

    series: tuple[Series, ...]
    passed_over: tuple[PassedOver, ...]


def find_series(folder: str | os.PathLike[str]) -> list[Series]:
    """Return the series of CT, MR and PET slices, and of films, in a folder and its sub-folders, sorted by number.

    Every file is judged by its content, whatever it is called. ``survey_folder`` also tells what was passed over.
    Whether slices make a volume, ``read_series`` finds out.

    Raises:
        UserError: for no such folder, or one without such a series.
    """
    survey = survey_folder(folder)
    if not survey.series:
        passed = [str(each) for each in survey.passed_over]
        more = [f"and {len(passed) - SHOWN} more"] if len(passed) > SHOWN else []
        found = f" (only {', '.join(passed[:SHOWN] + more)})" if passed else ""
        raise UserError(f"{folder} holds no CT, MR, PET or film series{found}: give the folder of the scanner's images")
    return list(survey.series)


def survey_folder(folder: str | os.PathLike[str]) -> Survey:
    """Return the series of a folder and its sub-folders, and the DICOM files that belong to none.

    Passed over are localizers, objects of other classes (secondary captures, SEG, SR, RTSTRUCT...), files that cannot
    be opened and truncated or damaged ones; where such a file names a series of the survey, that has a note of it.

    Raises:
        UserError: for no such folder.
    """
    if not os.path.isdir(folder):
        raise UserError(f"{folder} is not a folder: give one that holds DICOM files")
    groups: dict[tuple[str, str], list[Content]] = {}
    with discreet():
        for path in files_below(folder):
            if content := look_at(path):
                groups.setdefault((content.uid, content.unfit), []).append(content)
    passed = {key: passed_over(group) for key, group in groups.items() if key[1]}
    notes: dict[str, list[str]] = {}
    for (uid, reason), files in passed.items():
        notes.setdefault(uid, []).append(f"{count_files(files.files)} left out: {reason}")
    series = [series_of(group, notes.get(uid, [])) for (uid, unfit), group in groups.items() if not unfit]
    return Survey(tuple(sorted(series, key=order)), tuple(passed.values()))


def files_below(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the regular files of a folder and its sub-folders, sorted by path in each."""
    for parent, folders, names in os.walk(os.fspath(folder)):
        folders.sort()
        yield from (path for name in sorted(names) if (path := Path(parent, name)).is_file())


def series_of(group: list[Content], notes: list[str]) -> Series:
    """Return the series of images that share its UID."""
    first = group[0]
    files = tuple(content.path for content in group)
    return Series(first.uid, first.number, first.modality, first.study_uid, files, tuple(notes))


def passed_over(group: list[Content]) -> PassedOver:
    """Return the files of one series that are not taken for one reason."""
    first = group[0]
    series = name_series(first.number, first.modality, first.uid) if first.uid else "unknown series"
    return PassedOver(series, first.unfit, tuple(content.path for content in group))


def order(series: Series) -> tuple[float, str]:
    """The key that sorts series by number, those without one last."""
    return float("inf") if series.number is None else series.number, series.uid


def name_series(number: int | None, modality: str, uid: str) -> str:
    """Return a name for messages, such as "series 4 (CT, UID ending 12345678)"."""
    what = "series without number" if number is None else f"series {number}"
    return f"{what} ({modality or 'no modality'}, UID ending {uid[-UID_END:]})"


def count_files(files: tuple[Path, ...]) -> str:
    """Return "1 file" or "3 files"."""
    return f"{len(files)} file{'s' if len(files) > 1 else ''}"
