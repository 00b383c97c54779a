"""Training, validation and test: which patient is in which section, for all data lists."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from monai_mae_ext.errors import UserError

__all__ = ["Case", "cases_of", "check_section", "open_dataset_dir", "position_of"]

SECTIONS = ("training", "validation", "test", "all")
TEST_FRACTION = 0.2


class Case(NamedTuple):
    """An image on disk: its item in the list, its patient, and its section where an official list names one.

    ``official`` is "training", "validation", "test", "train_val" for either of the first two, or None.
    """

    item: dict
    patient: str
    official: str | None = None


def check_section(section: str, validation_fraction: float) -> None:
    """Raise a ``UserError`` for an unknown section, or a fraction out of range."""
    if section not in SECTIONS:
        raise UserError(f"section is one of {', '.join(SECTIONS)}, got '{section}'")
    if not 0 <= validation_fraction < 1 - TEST_FRACTION:
        raise UserError(f"validation_fraction is at least 0 and below {1 - TEST_FRACTION}, got {validation_fraction}")


def cases_of(
    cases: Sequence[Case], section: str, validation_fraction: float, seed: int = 0, fold: int = 0
) -> list[Case]:
    """Return the cases of one section.

    Where no official list decides, a hash of ``seed`` and the patient alone does, so that cases added later move
    nobody: the last fifth tests (if no case has an official section), and a window of ``validation_fraction`` that
    starts at ``fold`` times the fraction validates.

    Raises:
        UserError: for a fold that reaches beyond the patients.
    """
    highest = 1.0 if any(case.official for case in cases) else 1 - TEST_FRACTION
    if fold < 0 or (fold + 1) * validation_fraction > highest + 1e-9:
        raise UserError(f"no fold {fold} of {validation_fraction} of the patients: folds start at 0 and end at "
                        f"{highest:g} of them")  # fmt: skip
    window = fold * validation_fraction, (fold + 1) * validation_fraction
    return [case for case in cases if section in ("all", section_of(case, window, seed))]


def section_of(case: Case, window: tuple[float, float], seed: int) -> str:
    """Return "training", "validation" (positions in the window) or "test" for a case."""
    if case.official in ("training", "validation", "test"):
        return case.official
    position = position_of(f"{seed}/{case.patient}")
    if case.official is None and position >= 1 - TEST_FRACTION:
        return "test"
    return "validation" if window[0] <= position < window[1] else "training"


def position_of(text: str) -> float:
    """Return a number in [0, 1) that follows from ``text`` alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def open_dataset_dir(dataset_dir: str | os.PathLike) -> Path:
    """Return ``dataset_dir`` as a path, or raise a ``UserError`` if it is no folder."""
    root = Path(dataset_dir).expanduser()
    if not root.is_dir():
        raise UserError(f"no such folder: {root}: pass --dataset_dir FOLDER")
    return root
