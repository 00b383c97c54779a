"""The plainest table of labels: one CSV beside any folders of films."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from monai_mae_ext.errors import UserError

__all__ = ["LABELS_CSV", "LabelledFile", "read_labels_csv"]

LABELS_CSV = "labels.csv"
IMAGE, PATIENT = "image", "patient"
ANSWERS = {"0": 0, "1": 1}


class LabelledFile(NamedTuple):
    """One row: path relative to the CSV, patient, and 0 or 1 for each label column."""

    path: str
    patient: str
    label: tuple[int, ...]


def read_labels_csv(path: Path) -> tuple[tuple[str, ...], Iterator[LabelledFile]]:
    """Read ``labels.csv``: a column ``image``, a column ``patient``, and a column of 0 and 1 for each label.

    Returns:
        The names of the labels in the order of the columns, and the rows.

    Raises:
        UserError: for a missing column, and (with the rows) for a cell that is neither 0 nor 1, naming its row.
    """
    with open(path, newline="", encoding="utf-8-sig") as file:
        columns = csv.DictReader(file).fieldnames or ()
    if missing := {IMAGE, PATIENT}.difference(columns):
        raise UserError(f"{path} has no column {', '.join(sorted(missing))}: it needs image, patient and the labels")
    names = tuple(name for name in columns if name not in (IMAGE, PATIENT))
    return names, rows_of(path, names)


def rows_of(path: Path, names: tuple[str, ...]) -> Iterator[LabelledFile]:
    """Yield the rows of the CSV."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        for row in rows:
            wrong = [name for name in names if (row[name] or "").strip() not in ANSWERS]
            if wrong:
                raise UserError(
                    f"{path} row {rows.line_num} ({row[IMAGE]}) has {row[wrong[0]]!r} for {wrong[0]}: write 0 or 1"
                )
            yield LabelledFile(row[IMAGE], row[PATIENT], tuple(ANSWERS[row[name].strip()] for name in names))
