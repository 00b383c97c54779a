"""Listing CT and MRI volumes for training, validation and test, split by patient."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydicom.misc import is_dicom

from monai_mae_ext.data.sections import Case, cases_of, check_section, open_dataset_dir
from monai_mae_ext.errors import UserError

__all__ = ["volume_datalist"]

LISTS = "dataset*.json"
ENDINGS = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd")
LABEL_FOLDERS = ("labels", "masks", "segmentations")
SECTION_KEYS = ("training", "validation", "test")
SPLITS = {"transunet": (1, 2, 3, 4, 8, 22, 25, 29, 32, 35, 36, 38)}
"""Test cases of BTCV by their number: those of TransUNet (arXiv 2102.04306), whose other 18 train."""


def volume_datalist(
    dataset_dir: str | os.PathLike,
    section: str,
    validation_fraction: float = 0.1,
    seed: int = 0,
    fold: int = 0,
    split: str | None = None,
) -> list[dict[str, Any]]:
    """List the volumes of one section, never a patient in two.

    A folder with a ``dataset*.json`` is one of the Medical Segmentation Decathlon or BTCV: the file's lists
    ``training``, ``validation`` and ``test`` name images (of which each is a patient) and their labels. A list
    ``validation`` is taken as it is; without one, shares of ``training`` validate and, unless ``test`` has labels too,
    test, as in ``radiograph_datalist``. Any other folder is searched with all its sub-folders for NIfTI, MetaImage and
    NRRD files, and for folders of DICOM slices, each of which is one series; a patient is then a sub-folder of
    ``dataset_dir``, or a file lying in it. Folders called ``labels...``, ``masks...`` or ``segmentations...`` are
    passed over.

    Args:
        dataset_dir: the data set's folder.
        section: "training", "validation", "test" or "all".
        validation_fraction: share of the patients that validate, in [0, 0.8).
        seed: another number makes another split.
        fold: which share of the patients validates, counted from 0.
        split: "transunet" for BTCV's 12 test cases of that paper, whatever lists say; of the others shares validate.

    Returns:
        Items sorted by path: ``{"image": path}``, with ``"label": path`` where the JSON names one.

    Raises:
        UserError: for no such folder, section, fraction, fold or split, a folder without volumes, several JSON files,
            one that is malformed or names a missing file, or an empty section.
    """
    check_section(section, validation_fraction)
    root = open_dataset_dir(dataset_dir)
    listing = find_listing(root)
    cases = list(listed_cases(listing) if listing else folder_cases(root))
    if not cases:
        where = listing or f"{root}, looked for {', '.join(ENDINGS)} and DICOM series"
        raise UserError(f"found no volumes in {where}: pass --dataset_dir FOLDER")
    if split is not None:
        cases = [case._replace(official=section_in(split, case)) for case in cases]
    chosen = cases_of(cases, section, validation_fraction, seed, fold)
    if not chosen:
        raise empty_section(section, root, len(cases), listing)
    return sorted((case.item for case in chosen), key=lambda item: item["image"])


def find_listing(root: Path) -> Path | None:
    """Return the ``dataset*.json`` of a folder, if it has one."""
    lists = sorted(root.glob(LISTS))
    if len(lists) > 1:
        raise UserError(f"{root} has {len(lists)} lists ({', '.join(path.name for path in lists)}): leave one there")
    return lists[0] if lists else None


def empty_section(section: str, root: Path, count: int, listing: Path | None) -> UserError:
    """Return the error that says that a section has none of the ``count`` volumes, and what to do."""
    cure = f"add a list to {listing}" if listing and section == "test" else "raise --validation_fraction"
    return UserError(f"the {section} section of {root} is empty ({count} volumes in all): {cure}, or choose another")


def listed_cases(path: Path) -> Iterator[Case]:
    """Yield the cases of a Decathlon-style JSON.

    Test images without labels (the Decathlon keeps them) are no test section, and are left out.
    """
    try:
        lists = json.loads(path.read_text(encoding="utf-8-sig"))
        entries = {name: [as_item(entry, path) for entry in lists.get(name, [])] for name in SECTION_KEYS}
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no list of volumes ({error}): it needs 'training': [{{'image': PATH}}]") from error
    test = [item for item in entries["test"] if "label" in item]
    for item in entries["validation"]:
        yield Case(item, item["image"], "validation")
    for item in test:
        yield Case(item, item["image"], "test")
    official = "training" if entries["validation"] else "train_val" if test else None
    for item in entries["training"]:
        yield Case(item, Path(item["image"]).name, official)


def section_in(split: str, case: Case) -> str:
    """The section of a case in a named split, by the number at the end of its file's name."""
    if split not in SPLITS:
        raise UserError(f"split is one of {', '.join(SPLITS)}, not {split!r}")
    name = Path(case.item["image"]).name
    if not (match := re.search(r"(\d+)\D*$", name.split(".")[0])):
        raise UserError(f"{name} has no number, by which the split {split!r} goes: name it as BTCV, img0001.nii.gz")
    return "test" if int(match[1]) in SPLITS[split] else "train_val"


def as_item(entry: Any, source: Path) -> dict[str, str]:
    """Turn an entry, a path or a dictionary of paths relative to ``source``, into an item of existing files."""
    paths = (
        {"image": entry} if isinstance(entry, str) else {key: entry[key] for key in ("image", "label") if key in entry}
    )
    item = {key: os.path.normpath(source.parent / value) for key, value in paths.items()}
    if "image" not in item:
        raise ValueError(f"an entry without image: {entry}")
    for value in item.values():
        if not os.path.exists(value):
            raise UserError(f"{source} names {value}, which is not there: download it again, or take it off the list")
    return item


def folder_cases(root: Path) -> Iterator[Case]:
    """Yield the volumes below a plain folder: files, and folders that hold DICOM slices."""
    for folder, subfolders, names in os.walk(root, followlinks=True):
        subfolders[:] = [name for name in subfolders if not name.startswith(".") and not is_label_folder(name)]
        names = sorted(name for name in names if not name.startswith("."))
        paths = [os.path.join(folder, name) for name in names if name.lower().endswith(ENDINGS)]
        if not paths and any(name != "DICOMDIR" and is_dicom(os.path.join(folder, name)) for name in names):
            paths = [folder]
        for path in paths:
            yield Case({"image": path}, (Path(path).relative_to(root).parts or (root.name,))[0])


def is_label_folder(name: str) -> bool:
    """Return whether a folder's name says that it holds labels."""
    return name.lower().startswith(LABEL_FOLDERS)
