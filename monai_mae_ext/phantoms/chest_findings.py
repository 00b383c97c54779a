"""What eight findings of ChestX-ray14 do to a chest: to its shape, and to the air in its lungs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import ndimage

from monai_mae_ext.phantoms.chest_anatomy import Chest, Patient, chord, step
from monai_mae_ext.phantoms.chest_lesions import Lesion, describe_lesion

__all__ = ["FINDINGS", "change_air", "cloud", "reshape"]


def reshape(patient: Patient, view: str, findings: tuple[str, ...], side: int) -> Patient:
    """The patient whose heart, domes and mediastinum show ``findings``; ``side`` is -1 (right) or 1 (left)."""
    if view == "AP":  # the heart is farther from the film and casts a larger shadow
        patient = replace(patient, heart=patient.heart * 1.08)
    if "Cardiomegaly" in findings:
        patient = replace(patient, heart=patient.heart * 1.22 + 0.3)
    if "Atelectasis" in findings:
        raised = (0.13 * patient.height, 0.0) if side < 0 else (0.0, 0.15 * patient.height)
        patient = replace(patient, shift=0.05 * side, raised=raised)
    return patient


def change_air(
    chest: Chest, findings: tuple[str, ...], side: int, rng: np.random.Generator
) -> tuple[np.ndarray | float, np.ndarray | float, tuple[Lesion, ...]]:
    """What ``findings`` do to the lungs.

    Returns:
        The share of the air that is replaced by tissue (negative: more air than in a lung) and the share of vessels
        that stays visible; both (H, W), or numbers where nothing changes. What a reader would say of each finding.
    """
    replaced: np.ndarray | float = 0.0
    visible: np.ndarray | float = 1.0
    lesions = []
    for name in findings:
        opacity, vessels = FINDINGS[name](chest, side, rng)
        replaced = replaced + opacity
        visible = visible * vessels
        lesions.append(describe_lesion(name, chest, side, 1 - vessels if isinstance(vessels, np.ndarray) else opacity))
    return replaced, visible, tuple(lesions)


def cloud(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """Smooth noise of unit variance with ``cells`` lumps across the film, the same at every ``size``: (size, size)."""
    lumps = rng.standard_normal((cells, cells)).astype(np.float32)
    return 1.4 * ndimage.zoom(lumps, size / cells, order=2, mode="nearest", grid_mode=True)


def _shape_only(chest: Chest, side: int, rng: np.random.Generator) -> tuple:
    return 0.0, 1.0


def _effusion(chest: Chest, side: int, rng: np.random.Generator) -> tuple:
    """Fluid fills the costophrenic angle; its surface climbs the lateral wall."""
    patient = chest.patient
    outwards = side * chest.x / patient.width
    surface = 1.02 - rng.uniform(0.02, 0.3) - 0.28 * np.clip(outwards - 0.3, 0, 1) ** 2
    fluid = step(chest.level - surface, 0.022) * (outwards > 0)
    return 0.92 * fluid, 1 - fluid


def _pneumothorax(chest: Chest, side: int, rng: np.random.Generator) -> tuple:
    """Free air round a lung that has left the wall, most of it at the apex; the pleura is a thin bright line."""
    apart = rng.uniform(0.14, 0.32)
    edge = 1 - apart * np.clip(1.25 - chest.level, 0.25, 1.25) / 1.25
    edge += 0.006 * np.sin(9 * chest.level + rng.uniform(0, 6))
    here = side * chest.x > 0
    rim = step(chest.lung_radius - edge, 0.004) * here
    line = np.exp(-(((chest.lung_radius - edge) / 0.009) ** 2)) * here
    collapsed = 0.1 * here * (1 - rim)
    return collapsed + 0.3 * line - 0.28 * rim, 1 - rim


def _lump(chest: Chest, side: int, rng: np.random.Generator, radius: float, density: float) -> tuple:
    """A rounded lesion somewhere in a lung, lobulated the more the larger it is."""
    level, aside = rng.uniform(0.25, 0.78), rng.uniform(0.5, 0.74)
    x = chest.x - side * aside * chest.patient.width
    y = chest.y - chest.patient.apex - level * chest.patient.height
    angle = np.arctan2(y, x)
    lobes = 1 + radius * (0.7 * np.sin(2 * angle + rng.uniform(0, 6)) + 0.3 * np.sin(5 * angle + rng.uniform(0, 6)))
    opacity = density * chord(np.hypot(x, y) / (radius * lobes), 2.0)
    return opacity, 1 - 0.7 * opacity


def _mass(chest: Chest, side: int, rng: np.random.Generator) -> tuple:
    return _lump(chest, side, rng, radius=rng.uniform(0.09, 0.15), density=0.62)


def _nodule(chest: Chest, side: int, rng: np.random.Generator) -> tuple:
    return _lump(chest, side, rng, radius=rng.uniform(0.03, 0.055), density=0.42)


def _patch(chest: Chest, level: float, aside: float, radius: float, edge: np.ndarray) -> np.ndarray:
    """1 inside a blob round (``aside``, ``level``), ragged by the noise ``edge``."""
    patient = chest.patient
    distance = np.hypot(chest.x / patient.width - aside, (chest.level - level) * 0.9)
    return step(radius + 0.025 * edge - distance, 0.05)


def _consolidation(chest: Chest, side: int, rng: np.random.Generator) -> tuple:
    """One dense patch of a lobe with fluffy edges that hides the vessels."""
    size = chest.x.shape[0]
    ragged = cloud(rng, size, 16) + 0.6 * cloud(rng, size, 40)
    patch = _patch(chest, rng.uniform(0.35, 0.85), side * rng.uniform(0.45, 0.65), rng.uniform(0.2, 0.3), ragged)
    opacity = patch * (0.62 + 0.05 * cloud(rng, size, 26))
    return opacity, 1 - 0.9 * patch


def _infiltration(chest: Chest, side: int, rng: np.random.Generator) -> tuple:
    """Patchy haze with streaks, on one side more than on the other; vessels stay visible through it."""
    size = chest.x.shape[0]
    ragged = cloud(rng, size, 12)
    major = _patch(chest, rng.uniform(0.45, 0.8), 0.5 * side, rng.uniform(0.3, 0.4), ragged)
    minor = _patch(chest, rng.uniform(0.5, 0.8), -0.45 * side, rng.uniform(0.15, 0.3), ragged)
    grain = 0.7 + 0.2 * cloud(rng, size, 34) + 0.18 * cloud(rng, size, 80)
    return (major + 0.6 * minor) * grain * 0.36, 1.0


def _atelectasis(chest: Chest, side: int, rng: np.random.Generator) -> tuple:
    """Plate-like bands above a raised dome, and a base that is less airy."""
    here = side * chest.x > 0
    above = (chest.dome - chest.y) / chest.patient.height
    opacity = 0.3 * np.exp(-np.clip(above, 0, None) / 0.09) * here
    for _ in range(2):
        down = chest.level - rng.uniform(0.66, 0.82) - rng.uniform(-0.3, 0.3) * (chest.aside - 0.35)
        plate = step(rng.uniform(0.09, 0.14) - np.abs(chest.aside - rng.uniform(0.32, 0.42)), 0.015)
        opacity = opacity + 0.3 * np.exp(-((down / 0.012) ** 2)) * plate * here
    return opacity, 1.0


#: NIH's names of the findings that the phantom can show, and what each does to the air in the lungs.
FINDINGS: dict[str, Callable[[Chest, int, np.random.Generator], tuple]] = {
    "Atelectasis": _atelectasis,
    "Cardiomegaly": _shape_only,
    "Consolidation": _consolidation,
    "Effusion": _effusion,
    "Infiltration": _infiltration,
    "Mass": _mass,
    "Nodule": _nodule,
    "Pneumothorax": _pneumothorax,
}
