"""Listing radiographs for training, validation and test, split by patient."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom.misc import is_dicom

from monai_mae_ext.data.chestxray14 import (
    CHESTXRAY14_LABELS,
    find_metadata,
    index_images,
    read_metadata,
    read_official_lists,
)
from monai_mae_ext.data.labels_csv import LABELS_CSV, read_labels_csv
from monai_mae_ext.data.radiograph import RADIOGRAPH_SUFFIXES
from monai_mae_ext.data.sections import Case, cases_of, check_section, open_dataset_dir, position_of
from monai_mae_ext.errors import UserError

__all__ = ["folder_radiographs", "labelled_radiographs", "radiograph_datalist"]

logger = logging.getLogger(__name__)

ENDINGS = tuple(f".{suffix}" for suffix in RADIOGRAPH_SUFFIXES)


def radiograph_datalist(
    dataset_dir: str | os.PathLike, section: str, validation_fraction: float = 0.1, seed: int = 0, fold: int = 0
) -> list[dict]:
    """List the radiographs of one section, never a patient in two.

    A folder with a ``Data_Entry_2017*.csv`` is ChestX-ray14 as downloaded: images in ``images*/`` or
    ``images_*/images/``, and the official ``train_val_list.txt`` and ``test_list.txt`` where present. A folder with a
    ``labels.csv`` holds the films that it names (see ``read_labels_csv``). Any other folder is searched with all its
    sub-folders for PNG, JPEG, TIFF and DICOM files (DICOM also without suffix); a patient is then a sub-folder of
    ``dataset_dir``, or a file lying in it.

    A patient's section follows from a hash of ``seed`` and the patient alone: films added later move nobody.

    Args:
        dataset_dir: the data set's folder.
        section: "training", "validation", "test" or "all".
        validation_fraction: share of the patients (of the official train_val patients, where there are lists) that
            validate, in [0, 0.8). Without official lists a fifth of the patients is the test section.
        seed: another number makes another split.
        fold: which share of the patients validates, counted from 0, for cross-validation: with a fraction of .2 the
            folds 0 to 3 (0 to 4 with official lists) share no validation patient.

    Returns:
        Items sorted by path: ``{"image": path}``, where there are labels with ``"label"``: 0 or 1 for each, in the
        order of ``CHESTXRAY14_LABELS`` or of the CSV's columns.

    Raises:
        UserError: for no such folder, section, fraction or fold, a folder without radiographs, an empty section, or a
            malformed CSV.
    """
    films, _ = section_films(dataset_dir, section, validation_fraction, seed, fold)
    return [film.item for film in films]


def labelled_radiographs(
    dataset_dir: str | os.PathLike,
    section: str,
    label_names: Sequence[str],
    validation_fraction: float = 0.1,
    label_fraction: float = 1.0,
    seed: int = 0,
    fold: int = 0,
) -> list[dict]:
    """List the radiographs of one section with chosen labels; splits are those of ``radiograph_datalist``.

    Args:
        dataset_dir, section, validation_fraction, seed, fold: as in ``radiograph_datalist``.
        label_names: the labels wanted, in this order, of those that the data set has.
        label_fraction: share of the section's patients to keep, in (0, 1], for experiments with few labels. A smaller
            share is a part of a larger one.

    Returns:
        Items sorted by path: ``{"image": path, "label": (0 or 1, ...), "patient": name}``.

    Raises:
        UserError: as in ``radiograph_datalist``, and for a data set without labels or without one of ``label_names``.
    """
    if not 0 < label_fraction <= 1:
        raise UserError(f"label_fraction is above 0 and at most 1, got {label_fraction}")
    films, known = section_films(dataset_dir, section, validation_fraction, seed, fold)
    if not known:
        raise UserError(f"{dataset_dir} has no labels: put a {LABELS_CSV} there (image, patient, a column a label)")
    if unknown := [name for name in label_names if name not in known]:
        raise UserError(f"{dataset_dir} has no label '{unknown[0]}' in {', '.join(known)}: correct label_names")
    chosen = [known.index(name) for name in label_names]
    kept = [film for film in films if position_of(f"labels/{seed}/{film.patient}") < label_fraction]
    if not kept:
        raise UserError(f"label_fraction {label_fraction} of the {section} section of {dataset_dir} is no patient")
    return [
        {"image": film.item["image"], "label": tuple(film.item["label"][n] for n in chosen), "patient": film.patient}
        for film in kept
    ]


def section_films(
    dataset_dir: str | os.PathLike, section: str, validation_fraction: float, seed: int, fold: int
) -> tuple[list[Case], tuple[str, ...]]:
    """Return the films of one section, sorted by path, and the names of their labels (none for a plain folder)."""
    check_section(section, validation_fraction)
    films, names = all_films(open_dataset_dir(dataset_dir))
    chosen = cases_of(films, section, validation_fraction, seed, fold)
    if not chosen:
        patients = len({film.patient for film in films})
        raise UserError(
            f"the {section} section of {dataset_dir} is empty: {len(films)} films of {patients} patients (a patient is "
            "a sub-folder, or a file beside them): add patients, or raise --validation_fraction"
        )
    return sorted(chosen, key=lambda film: film.item["image"]), names


def all_films(root: Path) -> tuple[list[Case], tuple[str, ...]]:
    """Return the films of a data set in any of the layouts, at least one, and the names of their labels."""
    metadata, table = find_metadata(root), root / LABELS_CSV
    names: tuple[str, ...] = ()
    if metadata:
        films, names = list(chestxray14_films(root, metadata)), CHESTXRAY14_LABELS
        layout = f"the films of {metadata.name} in images*/"
    elif table.is_file():
        names, rows = read_labels_csv(table)
        films = [Case({"image": str(root / row.path), "label": row.label}, row.patient) for row in rows]
        layout = f"the films that {table} names"
    else:
        films, layout = list(folder_films(root)), "png, jpg, jpeg, tif, tiff or DICOM files"
    if not films:
        raise UserError(f"found no radiographs in {root}, looked for {layout}: pass --dataset_dir FOLDER")
    return films, names


def chestxray14_films(root: Path, metadata: Path) -> Iterator[Case]:
    """Yield the films of the CSV that are on disk, and warn once of those that are not, or in no official list."""
    images, lists = index_images(root), read_official_lists(root)
    missing, unlisted = [], []
    for name, patient, label in read_metadata(metadata):
        if name not in images:
            missing.append(name)
            continue
        official = None
        if lists is not None:
            train_val, test = lists
            if name not in train_val and name not in test:
                unlisted.append(name)
                continue
            official = "test" if name in test else "train_val"
        yield Case({"image": images[name], "label": label}, patient, official)
    for names, what in (missing, "not in the folders images*/"), (unlisted, "in neither official list, and left out"):
        if names:
            logger.warning("%d films of %s are %s, for example %s", len(names), metadata, what, names[0])


def folder_films(root: Path) -> Iterator[Case]:
    """Yield the radiographs below a plain folder."""
    for path in folder_radiographs(root):
        first, *deeper = Path(path).relative_to(root).parts
        # A DICOM name such as 1.2.840.17 has no suffix to cut: cutting it would make one patient of a whole study.
        is_stem = not deeper and has_radiograph_ending(first)
        yield Case({"image": path}, Path(first).stem if is_stem else first)


def folder_radiographs(root: Path) -> Iterator[str]:
    """Yield the paths of the radiographs below ``root``, by suffix or else by the magic bytes of DICOM.

    Hidden files and folders are passed over (notebooks and file managers leave copies there), and DICOMDIR is.
    """
    for folder, subfolders, names in os.walk(root, followlinks=True):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            path = os.path.join(folder, name)
            if not name.startswith(".") and name != "DICOMDIR" and (has_radiograph_ending(name) or is_dicom(path)):
                yield path


def has_radiograph_ending(name: str) -> bool:
    """Return whether a file name ends like a radiograph's."""
    return name.lower().endswith(ENDINGS)
