"""Abdominal phantoms as a data set of the Medical Segmentation Decathlon's layout."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from tqdm import tqdm

from monai_mae_ext.errors import UserError
from monai_mae_ext.figures import save_contact_sheet
from monai_mae_ext.figures_volume import plane_of
from monai_mae_ext.files import atomic_write
from monai_mae_ext.phantoms.abdomen_anatomy import ORGANS
from monai_mae_ext.phantoms.abdomen_phantom import abdomen_phantom
from monai_mae_ext.phantoms.record import is_complete, write_record
from monai_mae_ext.phantoms.storage import as_stored

__all__ = ["write_abdomen_phantoms"]

VOLUMES_SHOWN = 4


def write_abdomen_phantoms(
    out_dir: str | os.PathLike, n_volumes: int = 20, spacing: float = 2.5, seed: int = 0, test_fraction: float = 0.2
) -> Path:
    """Write phantom CT volumes with labels of BTCV's 13 organs, one a patient.

    In-plane spacing varies by 15 % around ``spacing``, slices are up to 1.6 times as thick, volumes are stored in
    several orientations, and every fourth lies obliquely. The same arguments write the same bytes, and a data set that
    is complete already is left as it is.

    Args:
        out_dir: gets ``imagesTr/``, ``labelsTr/``, ``imagesTs/``, ``labelsTs/``, ``dataset.json`` with the lists
            ``training`` and ``test``, ``contact_sheet.png`` of the first, and ``phantoms.json``, which records these
            arguments.
        n_volumes: how many, at least 1.
        spacing: of the voxels in millimetres, from 1 to 6.
        seed: which data set.
        test_fraction: share of the volumes that test; they come last.

    Returns:
        ``out_dir``.

    Raises:
        UserError: if ``out_dir`` holds anything but this data set, or an argument is out of range.
    """
    folder = Path(out_dir)
    if n_volumes < 1 or seed < 0 or not 1 <= spacing <= 6 or not 0 <= test_fraction <= 1:
        raise UserError(
            f"n_volumes is at least 1, seed at least 0, spacing in 1..6 and test_fraction in 0..1, got {n_volumes}, "
            f"{seed}, {spacing} and {test_fraction}"
        )
    arguments = {"n_volumes": n_volumes, "spacing": spacing, "seed": seed, "test_fraction": test_fraction}
    if is_complete(folder, arguments):
        return folder
    write_record(folder, arguments, complete=False)
    lists: dict[str, list[dict[str, str]]] = {"training": [], "test": []}
    first_test = n_volumes - round(n_volumes * test_fraction)
    for number in tqdm(range(n_volumes), desc="phantoms", unit="volume"):
        item = write_volume(folder, number, seed, spacing, "Ts" if number >= first_test else "Tr")
        lists["test" if number >= first_test else "training"].append(item)
    description = {
        "name": "abdominal phantoms",
        "modality": {"0": "CT"},
        "labels": {str(number): name for number, name in enumerate(("background", *ORGANS))},
    }
    with atomic_write(folder / "dataset.json") as path:
        path.write_text(json.dumps(description | lists, indent=2) + "\n")
    save_overview(folder / "contact_sheet.png", folder, [*lists["training"], *lists["test"]][:VOLUMES_SHOWN])
    write_record(folder, arguments, complete=True)
    return folder


def write_volume(folder: Path, number: int, seed: int, spacing: float, suffix: str) -> dict[str, str]:
    """Write one volume with its labels; returns its item of the list."""
    rng = np.random.default_rng([seed, number])
    plane = spacing * rng.uniform(0.85, 1.15)
    phantom = abdomen_phantom(int(rng.integers(2**31)), (plane, plane, spacing * rng.uniform(1, 1.6)))
    name = f"phantom_{number + 1:04d}.nii.gz"
    item = {"image": f"images{suffix}/{name}", "label": f"labels{suffix}/{name}"}
    stored = as_stored((phantom.image, phantom.label), phantom.affine, number, rng)
    for key, volume in zip(item, stored, strict=True):
        with atomic_write(folder / item[key]) as path:
            nib.save(volume, path)
    return item


def save_overview(path: Path, folder: Path, items: Sequence[dict[str, str]]) -> None:
    """Three planes each of a few volumes."""
    pictures, titles = [], []
    for item in items:
        volume = np.asarray(nib.as_closest_canonical(nib.load(folder / item["image"])).dataobj, np.float32)
        for axis, plane in enumerate(("sagittal", "coronal", "axial")):
            pictures.append(np.clip((plane_of(volume, axis) + 160) / 400, 0, 1))
            titles.append(f"{Path(item['image']).name.split('.')[0]}, {plane}")
    save_contact_sheet(path, pictures, titles)
