"""Listing MRI scans of one or several sequences: in one file or in a file each."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from monai_mae_ext.data.modalities import NAMES, modality_name
from monai_mae_ext.data.sections import Case, cases_of, check_section, open_dataset_dir
from monai_mae_ext.data.volume_datalist import empty_section, find_listing, folder_cases, listed_cases
from monai_mae_ext.errors import UserError

__all__ = ["mri_datalist"]

SEQUENCE_FILE = re.compile(r"(?P<scan>.+)[-_](?P<word>[A-Za-z0-9]+)\.nii(\.gz)?")
LABEL_WORD = "seg"
BRATS_2023 = re.compile(r"(BraTS-[A-Z]+-\d+)-\d+")
"""The last number is the visit: scans of one patient stay together."""


def mri_datalist(
    dataset_dir: str | os.PathLike,
    section: str,
    modalities: Sequence[str],
    validation_fraction: float = 0.2,
    seed: int = 0,
    fold: int = 0,
) -> list[dict[str, Any]]:
    """List the scans of one section, never a patient in two, and say which sequence is where.

    Three layouts are known. A ``dataset*.json`` of the Medical Segmentation Decathlon names 3-D or 4-D files, and in
    ``modality`` the sequences along the fourth axis; sections as in ``volume_datalist``. In the layout of BraTS each
    sequence is a file, ``..._flair.nii.gz`` or ``...-t2f.nii.gz``, and ``_seg`` has the labels; a scan may lack
    sequences. Any other folder is searched for volumes as ``volume_datalist`` does, and each has the one sequence of
    ``modalities``.

    Args:
        dataset_dir, section, seed, fold: as in ``volume_datalist``.
        modalities: names of the sequences that are wanted (see ``modality_name``), of which scans may lack some.
        validation_fraction: share of the patients that validate, in [0, 0.8); folds are windows of this width.

    Returns:
        Items sorted by ``scan``, the path that names the scan: ``image``, a path or one for each sequence;
        ``modalities``, what its channels are; and ``label``, a path, where there is one.

    Raises:
        UserError: as ``volume_datalist``, and for a list that does not name its modalities, two files of one sequence,
            or a folder of plain volumes if several sequences are wanted.
    """
    check_section(section, validation_fraction)
    root = open_dataset_dir(dataset_dir)
    listing = find_listing(root)
    cases = list(decathlon_cases(listing) if listing else sequence_cases(root))
    if not cases:
        cases = list(plain_cases(root, modalities))
    has = {name for case in cases for name in case.item["modalities"]}
    if not has.intersection(map(modality_name, modalities)):
        raise UserError(
            f"scans in {root} have {', '.join(sorted(has))}, none of {', '.join(modalities)}: set --modalities"
        )
    chosen = cases_of(cases, section, validation_fraction, seed, fold)
    if not chosen:
        raise empty_section(section, root, len(cases), listing)
    return sorted((case.item for case in chosen), key=lambda item: item["scan"])


def decathlon_cases(listing: Path) -> Iterator[Case]:
    """Yield the cases of a Decathlon-style JSON with the names of their channels."""
    cases = list(listed_cases(listing))
    modality = json.loads(listing.read_text(encoding="utf-8-sig")).get("modality")
    try:
        names = [modality_name(modality[str(number)]) for number in range(len(modality))]
    except (TypeError, KeyError) as error:
        raise UserError(
            f'{listing} does not say which channel is what: add "modality": {{"0": "FLAIR", ...}}'
        ) from error
    for case in cases:
        yield case._replace(item=case.item | {"modalities": names, "scan": case.item["image"]})


def sequence_cases(root: Path) -> Iterator[Case]:
    """Yield the scans of which each sequence is a file of its own."""
    for folder, subfolders, names in os.walk(root, followlinks=True):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        scans: dict[str, dict[str, str]] = {}
        for name in sorted(names):
            if match := SEQUENCE_FILE.fullmatch(name):
                sequence = NAMES.get(match["word"].lower(), match["word"].lower())
                files = scans.setdefault(match["scan"], {})
                if sequence in files and sequence in NAMES.values():
                    raise UserError(f"{folder} has two files of {sequence}, {files[sequence]} and {name}: remove one")
                files[sequence] = name
        for scan, files in scans.items():
            paths = {name: os.path.join(folder, file) for name, file in files.items()}
            label = {"label": paths[LABEL_WORD]} if LABEL_WORD in paths else {}
            sequences = {name: path for name, path in paths.items() if name in NAMES.values()}
            if sequences:
                item = {"image": [*sequences.values()], "modalities": [*sequences], "scan": os.path.join(folder, scan)}
                match = BRATS_2023.fullmatch(scan)
                yield Case(item | label, match[1] if match else scan)


def plain_cases(root: Path, modalities: Sequence[str]) -> Iterator[Case]:
    """Yield volumes that nothing tells about; they must be of the one sequence that is wanted."""
    cases = list(folder_cases(root))
    if not cases:
        raise UserError(f"found no scans in {root}: pass --dataset_dir FOLDER")
    if len(modalities) > 1:
        raise UserError(
            f"nothing in {root} says which sequence is what: name files as in patient_flair.nii.gz, or add a "
            'dataset.json with "modality"'
        )
    for case in cases:
        yield case._replace(item=case.item | {"modalities": [modality_name(modalities[0])], "scan": case.item["image"]})
