"""The files of NIH ChestX-ray14 as they are downloaded: one CSV of labels, folders of images, two official lists."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from monai_mae_ext.errors import UserError

__all__ = ["CHESTXRAY14_LABELS", "ListedFilm", "find_metadata", "index_images", "read_metadata", "read_official_lists"]

CHESTXRAY14_LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)
NO_FINDING = "No Finding"
NAME, FINDINGS, PATIENT = "Image Index", "Finding Labels", "Patient ID"
TRAIN_VAL_LIST, TEST_LIST = "train_val_list.txt", "test_list.txt"


class ListedFilm(NamedTuple):
    """One row of the CSV: file name, patient, and 0 or 1 for each of ``CHESTXRAY14_LABELS``."""

    name: str
    patient: str
    label: tuple[int, ...]


def find_metadata(dataset_dir: Path) -> Path | None:
    """Return the ``Data_Entry_2017*.csv`` of the folder (the latest by name), or None if it is no ChestX-ray14."""
    return max(dataset_dir.glob("Data_Entry_2017*.csv"), default=None)


def read_metadata(path: Path) -> Iterator[ListedFilm]:
    """Yield the rows of the CSV.

    Raises:
        UserError: for a missing column, or a finding that is none of the 14 labels, naming its row.
    """
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if missing := {NAME, FINDINGS, PATIENT}.difference(rows.fieldnames or ()):
            raise UserError(f"{path} has no column {', '.join(sorted(missing))}: download it again from the NIH")
        labels: dict[str, tuple[int, ...]] = {}
        for row in rows:
            findings = row[FINDINGS]
            if findings not in labels:
                labels[findings] = parse_findings(findings, f"{path} row {rows.line_num} ({row[NAME]})")
            yield ListedFilm(row[NAME], row[PATIENT], labels[findings])


def parse_findings(findings: str, where: str) -> tuple[int, ...]:
    """Return 0 or 1 for each of the 14 labels, from their names joined by ``|``."""
    found = set(findings.split("|")) - {NO_FINDING}
    if unknown := sorted(found.difference(CHESTXRAY14_LABELS)):
        raise UserError(f"{where} has the unknown finding '{unknown[0]}': correct it to one of CHESTXRAY14_LABELS")
    return tuple(int(label in found) for label in CHESTXRAY14_LABELS)


def index_images(dataset_dir: Path) -> dict[str, str]:
    """Return the path of each file by its name, from the folders ``images*/`` and ``images*/images/``.

    Each folder is scanned once and no file is opened: 112,120 films are listed in about a second.
    """
    index: dict[str, str] = {}
    for folder in sorted(path for path in dataset_dir.glob("images*") if path.is_dir()):
        inner = folder / "images"
        with os.scandir(inner if inner.is_dir() else folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    index.setdefault(entry.name, entry.path)
    return index


def read_official_lists(dataset_dir: Path) -> tuple[set[str], set[str]] | None:
    """Return the file names of the official (train_val, test) lists, or None if neither list is there.

    Raises:
        UserError: if only one is there: a split made without the other could mix them.
    """
    paths = [dataset_dir / TRAIN_VAL_LIST, dataset_dir / TEST_LIST]
    present = [path for path in paths if path.is_file()]
    if not present:
        return None
    if len(present) == 1:
        (absent,) = set(paths) - set(present)
        raise UserError(f"{absent} is missing beside {present[0].name}: download both official lists, or remove both")
    train_val, test = (set(path.read_text().split()) for path in paths)
    return train_val, test
