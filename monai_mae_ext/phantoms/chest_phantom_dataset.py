"""A folder of phantom films in the layout in which ChestX-ray14 is downloaded."""

from __future__ import annotations

import csv
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from monai_mae_ext.errors import UserError
from monai_mae_ext.figures import save_contact_sheet
from monai_mae_ext.files import atomic_write
from monai_mae_ext.phantoms.chest_dicom import write_phantom_dicom
from monai_mae_ext.phantoms.chest_phantom import ChestPhantom, chest_phantom
from monai_mae_ext.phantoms.chest_report import phantom_report
from monai_mae_ext.phantoms.record import is_complete, write_record

__all__ = ["write_chest_phantoms"]

#: As NIH wrote it: the commas inside the brackets split the last two names, so each file column has half a name.
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
).split(",")
FILM_SIDE_MM = 400
VALIDATION_FRACTION = 0.1  # of the patients, in the lists of reports
FILMS_SHOWN = 12


@dataclass(frozen=True)
class Film:
    """One film to write: the ``number``-th (from 0) of ``patient`` (from 1)."""

    patient: int
    number: int
    suffix: str
    inverted: bool

    @property
    def stem(self) -> str:
        return f"{self.patient:08d}_{self.number:03d}"

    @property
    def name(self) -> str:
        return self.stem + self.suffix


def write_chest_phantoms(
    out_dir: str | os.PathLike,
    n_films: int = 200,
    size: int = 256,
    seed: int = 0,
    dicom_fraction: float = 0.0,
    test_fraction: float = 0.2,
) -> Path:
    """Write ``n_films`` phantom films with their labels, reports, lists and thorax masks, one to three films a patient.

    The films of one patient share the anatomy; position, exposure and findings are drawn anew for each. The same
    arguments write the same bytes, and a data set that is complete already is left as it is.

    Args:
        out_dir: gets ``images/``, ``thorax_masks/`` (PNG of the same stem, 0 or 255), ``Data_Entry_2017.csv``,
            ``train_val_list.txt``, ``test_list.txt``, ``annotation.json`` with a report of each film in R2Gen's layout
            (a tenth of the patients validates), ``contact_sheet.png`` of the first films, and ``phantoms.json``, which
            records these arguments.
        n_films: how many films, at least 1.
        size: pixels on each side.
        seed: which data set.
        dicom_fraction: share of films written as 12-bit DICOM, every other one of them MONOCHROME1; the others are
            8-bit grey PNG.
        test_fraction: share of patients in ``test_list.txt``.

    Returns:
        ``out_dir``.

    Raises:
        UserError: if ``out_dir`` holds anything but this data set, or an argument is out of range.
    """
    folder = Path(out_dir)
    arguments = {
        "n_films": n_films,
        "size": size,
        "seed": seed,
        "dicom_fraction": dicom_fraction,
        "test_fraction": test_fraction,
    }
    _check(n_films, size, seed, dicom_fraction, test_fraction)
    if is_complete(folder, arguments):
        return folder
    write_record(folder, arguments, complete=False)
    rng = np.random.default_rng(seed)
    films = _plan(n_films, dicom_fraction, rng)
    patients = rng.permutation(films[-1].patient) + 1
    n_test, n_validation = round(test_fraction * len(patients)), round(VALIDATION_FRACTION * len(patients))
    in_test = set(patients[:n_test].tolist())
    in_validation = set(patients[n_test : n_test + n_validation].tolist())
    rows: list[list] = []
    reports: dict[str, list[dict[str, Any]]] = {"train": [], "val": [], "test": []}
    for film in tqdm(films, desc="phantoms", unit="film"):
        section = "test" if film.patient in in_test else "val" if film.patient in in_validation else "train"
        row, report = _write_film(folder, film, size, seed)
        rows.append(row)
        reports[section].append(report)
    with atomic_write(folder / "Data_Entry_2017.csv") as path, open(path, "w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    with atomic_write(folder / "annotation.json") as path:
        path.write_text(json.dumps(reports, indent=1) + "\n")
    _write_list(folder / "train_val_list.txt", [film.name for film in films if film.patient not in in_test])
    _write_list(folder / "test_list.txt", [film.name for film in films if film.patient in in_test])
    shown = [_phantom(film, size, seed) for film in films[:FILMS_SHOWN]]
    labels = ["|".join(phantom.findings) or "No Finding" for phantom in shown]
    save_contact_sheet(folder / "contact_sheet.png", [phantom.image for phantom in shown], labels)
    write_record(folder, arguments, complete=True)
    return folder


def _check(n_films: int, size: int, seed: int, dicom_fraction: float, test_fraction: float) -> None:
    if n_films < 1 or size < 32 or seed < 0:
        raise UserError(
            f"n_films must be at least 1, size at least 32 and seed at least 0, got {n_films}, {size} and {seed}"
        )
    if not (0 <= dicom_fraction <= 1 and 0 <= test_fraction <= 1):
        raise UserError(
            f"dicom_fraction and test_fraction must lie in 0 .. 1, got {dicom_fraction} and {test_fraction}"
        )


def _plan(n_films: int, dicom_fraction: float, rng: np.random.Generator) -> list[Film]:
    """Deal the films out to patients, one to three each, and spread the DICOM files evenly over them."""
    films: list[Film] = []
    patient = 0
    n_dicom = 0
    while len(films) < n_films:
        patient += 1
        for number in range(min(int(rng.integers(1, 4)), n_films - len(films))):
            is_dicom = math.floor((len(films) + 1) * dicom_fraction) > n_dicom
            n_dicom += is_dicom
            films.append(Film(patient, number, ".dcm" if is_dicom else ".png", is_dicom and n_dicom % 2 == 0))
    return films


def _write_film(folder: Path, film: Film, size: int, seed: int) -> tuple[list, dict[str, Any]]:
    """Write image and mask of ``film``; returns its row of ``Data_Entry_2017.csv`` and its entry in the reports."""
    phantom = _phantom(film, size, seed)
    spacing = round(FILM_SIDE_MM / size, 4)
    with atomic_write(folder / "images" / film.name) as path:
        if film.suffix == ".dcm":
            write_phantom_dicom(path, phantom, film.patient, film.number, spacing, film.inverted)
        else:
            Image.fromarray(np.round(phantom.image * 255).astype(np.uint8)).save(path)
    with atomic_write(folder / "thorax_masks" / f"{film.stem}.png") as path:
        Image.fromarray(phantom.thorax.astype(np.uint8) * 255).save(path)
    rng = np.random.default_rng([_patient_seed(film, seed), film.number])
    report = phantom_report(phantom.lesions, phantom.view, rng)
    return _row(film, phantom, size, spacing), {"id": film.stem, "report": report, "image_path": [film.name]}


def _phantom(film: Film, size: int, seed: int) -> ChestPhantom:
    return chest_phantom(_patient_seed(film, seed), size, film=film.number)


def _patient_seed(film: Film, seed: int) -> int:
    return int(np.random.default_rng([seed, film.patient]).integers(2**31))


def _row(film: Film, phantom: ChestPhantom, size: int, spacing: float) -> list:
    labels = "|".join(phantom.findings) or "No Finding"
    who = [film.patient, phantom.age, phantom.sex, phantom.view]
    return [film.name, labels, film.number, *who, size, size, spacing, spacing]


def _write_list(path: Path, names: list[str]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text("".join(f"{name}\n" for name in names))
