"""Listing radiographs for training, validation and test, split by patient."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydicom.misc import is_dicom

from monai_mae_ext.data.chestxray14 import find_metadata, index_images, read_metadata, read_official_lists
from monai_mae_ext.data.radiograph import RADIOGRAPH_SUFFIXES
from monai_mae_ext.errors import UserError

__all__ = ["folder_radiographs", "open_dataset_dir", "radiograph_datalist"]

logger = logging.getLogger(__name__)

SECTIONS = ("training", "validation", "test", "all")
TEST_FRACTION = 0.2
ENDINGS = tuple(f".{suffix}" for suffix in RADIOGRAPH_SUFFIXES)


class Film(NamedTuple):
    """A film on disk: its item in the list, its patient, and "train_val" or "test" where an official list says so."""

    item: dict
    patient: str
    official: str | None = None


def radiograph_datalist(
    dataset_dir: str | os.PathLike, section: str, validation_fraction: float = 0.1, seed: int = 0
) -> list[dict]:
    """List the radiographs of one section, never a patient in two.

    A folder with a ``Data_Entry_2017*.csv`` is ChestX-ray14 as downloaded: images in ``images*/`` or
    ``images_*/images/``, and the official ``train_val_list.txt`` and ``test_list.txt`` where present. Any other folder
    is searched with all its sub-folders for PNG, JPEG, TIFF and DICOM files (DICOM also without suffix); a patient is
    then a sub-folder of ``dataset_dir``, or a file lying in it.

    A patient's section follows from a hash of ``seed`` and the patient alone: films added later move nobody.

    Args:
        dataset_dir: the data set's folder.
        section: "training", "validation", "test" or "all".
        validation_fraction: share of the patients (of the official train_val patients, where there are lists) that
            validate, in [0, 0.8). Without official lists a fifth of the patients is the test section.
        seed: another number makes another split.

    Returns:
        Items sorted by path: ``{"image": path}``, for ChestX-ray14 with ``"label"``: 14 times 0 or 1, in the order of
        ``CHESTXRAY14_LABELS``.

    Raises:
        UserError: for no such folder, section or fraction, a folder without radiographs, an empty section, or a
            malformed CSV.
    """
    if section not in SECTIONS:
        raise UserError(f"section is one of {', '.join(SECTIONS)}, got '{section}'")
    if not 0 <= validation_fraction < 1 - TEST_FRACTION:
        raise UserError(f"validation_fraction is at least 0 and below {1 - TEST_FRACTION}, got {validation_fraction}")
    root = open_dataset_dir(dataset_dir)
    metadata = find_metadata(root)
    films = list(chestxray14_films(root, metadata) if metadata else folder_films(root))
    if not films:
        layout = f"the films of {metadata.name} in images*/" if metadata else "png, jpg, jpeg, tif, tiff or DICOM files"
        raise UserError(f"found no radiographs in {root}, looked for {layout}: pass --dataset_dir FOLDER")
    items = [film.item for film in films if section in ("all", section_of(film, validation_fraction, seed))]
    if not items:
        patients = len({film.patient for film in films})
        raise UserError(
            f"the {section} section of {root} is empty: {len(films)} films of {patients} patients (a patient is a "
            "sub-folder, or a file beside them): add patients, or raise --validation_fraction"
        )
    return sorted(items, key=lambda item: item["image"])


def section_of(film: Film, validation_fraction: float, seed: int) -> str:
    """Return "training", "validation" or "test" for a film."""
    digest = hashlib.sha256(f"{seed}/{film.patient}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    if film.official == "test" or (film.official is None and position >= 1 - TEST_FRACTION):
        return "test"
    return "validation" if position < validation_fraction else "training"


def open_dataset_dir(dataset_dir: str | os.PathLike) -> Path:
    """Return ``dataset_dir`` as a path, or raise a ``UserError`` if it is no folder."""
    root = Path(dataset_dir).expanduser()
    if not root.is_dir():
        raise UserError(f"no such folder: {root}: pass --dataset_dir FOLDER")
    return root


def chestxray14_films(root: Path, metadata: Path) -> Iterator[Film]:
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
        yield Film({"image": images[name], "label": label}, patient, official)
    for names, what in (missing, "not in the folders images*/"), (unlisted, "in neither official list, and left out"):
        if names:
            logger.warning("%d films of %s are %s, for example %s", len(names), metadata, what, names[0])


def folder_films(root: Path) -> Iterator[Film]:
    """Yield the radiographs below a plain folder."""
    for path in folder_radiographs(root):
        first, *deeper = Path(path).relative_to(root).parts
        # A DICOM name such as 1.2.840.17 has no suffix to cut: cutting it would make one patient of a whole study.
        is_stem = not deeper and has_radiograph_ending(first)
        yield Film({"image": path}, Path(first).stem if is_stem else first)


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
