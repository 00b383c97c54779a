"""Brain phantoms as a data set of the Medical Segmentation Decathlon's layout, or of BraTS 2023's."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
from tqdm import tqdm

from monai_mae_ext.errors import UserError
from monai_mae_ext.figures import save_contact_sheet
from monai_mae_ext.figures_volume import plane_of
from monai_mae_ext.files import atomic_write
from monai_mae_ext.phantoms.brain_phantom import MODALITIES, BrainPhantom, brain_phantom
from monai_mae_ext.phantoms.brain_tumour import LABELS
from monai_mae_ext.phantoms.record import is_complete, write_record
from monai_mae_ext.phantoms.storage import as_stored

__all__ = ["write_brain_phantoms"]

LAYOUTS = ("msd", "brats")
MSD_MODALITIES = ("FLAIR", "T1w", "t1gd", "T2w")
BRATS_ENDINGS = ("t2f", "t1n", "t1c", "t2w")
"""What BraTS 2023 calls the sequences, in the order of ``MODALITIES``."""
BRATS_LABELS = np.array([0, 2, 1, 3], np.uint8)
"""BraTS's number of each of the Decathlon's labels: 1 is the core that does not enhance, 2 oedema."""
PATIENTS_SHOWN = 4


def write_brain_phantoms(
    out_dir: str | os.PathLike,
    n_volumes: int = 20,
    spacing: float = 2.0,
    seed: int = 0,
    test_fraction: float = 0.2,
    layout: str = "msd",
) -> Path:
    """Write phantom MRI of gliomas in four sequences, one patient a volume.

    In-plane spacing varies by 10 % around ``spacing``, slices are up to 1.5 times as thick, volumes are stored in
    several orientations, and every fourth lies obliquely. The same arguments write the same bytes, both layouts hold
    the same patients, and a data set that is complete already is left as it is.

    Args:
        out_dir: gets ``contact_sheet.png`` of the first patients, ``phantoms.json``, which records these arguments, and
            in layout "msd" ``imagesTr/`` (``(X, Y, Z, 4)``), ``labelsTr/``, ``imagesTs/``, ``labelsTs/`` and
            ``dataset.json`` with the lists ``training`` and ``test``, in layout "brats" a folder
            ``BraTS-GLI-00001-000/`` a patient with a file each for the sequences and the labels.
        n_volumes: how many patients, at least 1.
        spacing: of the voxels in millimetres, from 1 to 6.
        seed: which data set.
        test_fraction: share of the patients that test; they come last. BraTS has no lists, so that there it is unused.
        layout: "msd" for the Decathlon's Task01, "brats" for BraTS 2023.

    Returns:
        ``out_dir``.

    Raises:
        UserError: if ``out_dir`` holds anything but this data set, or an argument is out of range.
    """
    folder = Path(out_dir)
    if n_volumes < 1 or seed < 0 or not 1 <= spacing <= 6 or not 0 <= test_fraction <= 1 or layout not in LAYOUTS:
        raise UserError(
            f"n_volumes is at least 1, seed at least 0, spacing in 1..6, test_fraction in 0..1 and layout one of "
            f"{', '.join(LAYOUTS)}, got {n_volumes}, {seed}, {spacing}, {test_fraction} and {layout}"
        )
    arguments = {
        "n_volumes": n_volumes,
        "spacing": spacing,
        "seed": seed,
        "test_fraction": test_fraction,
        "layout": layout,
    }
    if is_complete(folder, arguments):
        return folder
    write_record(folder, arguments, complete=False)
    lists: dict[str, list[dict[str, str]]] = {"training": [], "test": []}
    first_test = n_volumes - round(n_volumes * test_fraction)
    pictures: dict[str, np.ndarray] = {}
    for number in tqdm(range(n_volumes), desc="phantoms", unit="patient"):
        rng = np.random.default_rng([seed, number])
        phantom = draw_patient(spacing, rng)
        suffix = "Ts" if number >= first_test else "Tr"
        files = msd_files(phantom, number, suffix) if layout == "msd" else brats_files(phantom, number)
        write_files(folder, files, phantom.affine, number, rng)
        if layout == "msd":
            lists["test" if suffix == "Ts" else "training"].append(dict(zip(("image", "label"), files, strict=True)))
        if number < PATIENTS_SHOWN:
            pictures |= planes(phantom, number)
    if layout == "msd":
        write_description(folder / "dataset.json", lists)
    save_contact_sheet(folder / "contact_sheet.png", list(pictures.values()), list(pictures), columns=5)
    write_record(folder, arguments, complete=True)
    return folder


def draw_patient(spacing: float, rng: np.random.Generator) -> BrainPhantom:
    """A patient, on a grid of his own."""
    plane = spacing * rng.uniform(0.9, 1.1)
    return brain_phantom(int(rng.integers(2**31)), (plane, plane, spacing * rng.uniform(1, 1.5)))


def msd_files(phantom: BrainPhantom, number: int, suffix: str) -> dict[str, np.ndarray]:
    """Names and contents of a patient's files in the Decathlon's layout: the image, then the label."""
    name = f"phantom_{number + 1:04d}.nii.gz"
    image = np.moveaxis(phantom.image, 0, -1).astype(np.int16)
    return {f"images{suffix}/{name}": image, f"labels{suffix}/{name}": phantom.label}


def brats_files(phantom: BrainPhantom, number: int) -> dict[str, np.ndarray]:
    """Names and contents of a patient's files in BraTS's layout."""
    patient = f"BraTS-GLI-{number + 1:05d}-000"
    volumes = dict(zip(BRATS_ENDINGS, phantom.image.astype(np.int16), strict=True))
    volumes["seg"] = BRATS_LABELS[phantom.label]
    return {f"{patient}/{patient}-{ending}.nii.gz": volume for ending, volume in volumes.items()}


def write_files(
    folder: Path, files: dict[str, np.ndarray], affine: np.ndarray, number: int, rng: np.random.Generator
) -> None:
    """Write a patient's files, all on the same grid."""
    for name, volume in zip(files, as_stored(list(files.values()), affine, number, rng), strict=True):
        with atomic_write(folder / name) as path:
            nib.save(volume, path)


def write_description(path: Path, lists: dict[str, list[dict[str, str]]]) -> None:
    """Write ``dataset.json``."""
    description = {
        "name": "brain tumour phantoms",
        "modality": {str(number): name for number, name in enumerate(MSD_MODALITIES)},
        "labels": {str(number): name for number, name in enumerate(LABELS)},
    }
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(description | lists, indent=2) + "\n")


def planes(phantom: BrainPhantom, number: int) -> dict[str, np.ndarray]:
    """Titles and pictures of the axial plane with the most tumour: the sequences, then the label."""
    index = int((phantom.label > 0).sum((0, 1)).argmax())
    pictures = {}
    for name, volume in zip(MODALITIES, phantom.image, strict=True):
        white = np.quantile(volume[volume > 0], 0.998)
        pictures[f"patient {number + 1}, {name}"] = np.clip(plane_of(volume, 2, index) / white, 0, 1)
    return pictures | {f"patient {number + 1}, label": plane_of(phantom.label, 2, index) / (len(LABELS) - 1)}
