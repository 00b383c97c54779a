"""Small volumes with known labels, in the layout of the Medical Segmentation Decathlon."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np

from monai_mae_ext.phantoms import brain_phantom

ORIENTATIONS = ("RAS", "LPS", "LAS", "PSR")
ORGANS = {1: (60, 0.5, (0.62, 0.5, 0.6)), 6: (130, 0.32, (0.3, 0.5, 0.4))}
"""Label, HU, size, and place in the body, of two organs."""


def ct_volume(seed: int, shape: tuple[int, int, int] = (30, 26, 24)) -> tuple[np.ndarray, np.ndarray]:
    """HU and labels in RAS: a body in air, with two organs."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(*(np.linspace(0, 1, side) for side in shape), indexing="ij"))
    distance = lambda centre, size: np.sqrt((((places.T - centre) / size) ** 2).sum(-1)).T  # noqa: E731
    image, labels = np.full(shape, -1000.0), np.zeros(shape, np.uint8)
    image[distance((0.5, 0.5, 0.5), (0.48, 0.42, 0.8)) < 1] = -20
    for label, (hu, size, centre) in ORGANS.items():
        inside = distance(np.array(centre) + rng.uniform(-0.05, 0.05, 3), size * rng.uniform(0.5, 0.7)) < 1
        image[inside], labels[inside] = hu, label
    return image + rng.normal(0, 10, shape), labels


def write_volumes(folder: Path, n_training: int = 5, n_test: int = 2) -> Path:
    """Write a data set of volumes in several orientations and spacings; returns its folder."""
    lists: dict[str, list] = {"training": [], "test": []}
    for number in range(n_training + n_test):
        image, labels = ct_volume(number)
        spacing = (8 + number % 3, 8, 9)
        turn = nib.orientations.ornt_transform(
            nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(ORIENTATIONS[number % 4])
        )
        item = {}
        for key, values in (("image", image.astype(np.int16)), ("label", labels)):
            item[key] = f"{key}s/case_{number:02d}.nii.gz"
            (folder / item[key]).parent.mkdir(parents=True, exist_ok=True)
            volume = nib.Nifti1Image(values, np.diag([*spacing, 1.0]))
            nib.save(volume.as_reoriented(turn), folder / item[key])
        lists["training" if number < n_training else "test"].append(item)
    (folder / "dataset.json").write_text(json.dumps({"name": "small", **lists}))
    return folder


def write_hippocampi(folder: Path, count: int) -> Path:
    """Scans of one sequence with two labels, in the Decathlon's layout."""
    folder.mkdir(exist_ok=True)
    entries = []
    for number in range(count):
        phantom = brain_phantom(number, (8, 8, 8))
        entries.append({"image": f"image{number}.nii.gz", "label": f"label{number}.nii.gz"})
        for name, volume in zip(entries[-1].values(), (phantom.image[2], phantom.label.clip(0, 2)), strict=True):
            nib.save(nib.Nifti1Image(volume.astype(np.int16), phantom.affine), folder / name)
    (folder / "dataset.json").write_text(json.dumps({"modality": {"0": "MRI"}, "training": entries}))
    return folder
