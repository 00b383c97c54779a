"""A procedural frontal chest film: tests, tutorials and smoke runs need no patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monai_mae_ext.errors import UserError
from monai_mae_ext.phantoms.chest_anatomy import Chest, Patient, chord
from monai_mae_ext.phantoms.chest_film import expose
from monai_mae_ext.phantoms.chest_findings import FINDINGS, change_air, cloud, reshape
from monai_mae_ext.phantoms.chest_lesions import Lesion
from monai_mae_ext.phantoms.chest_projection import Projection
from monai_mae_ext.phantoms.chest_skeleton import draw_bones, draw_spine
from monai_mae_ext.phantoms.chest_vessels import draw_airways, draw_vessels

__all__ = ["ChestPhantom", "chest_phantom"]


@dataclass(frozen=True)
class ChestPhantom:
    """A film and what is known about it.

    Attributes:
        image: (H, W) float32 in [0, 1], displayed as MONOCHROME2: air is dark, bone is bright.
        thorax: (H, W) bool, the thoracic cavity: both lungs and the mediastinum, from the apices to the diaphragm.
        lungs: (H, W) bool, the lung fields beside the mediastinum, whatever fills them.
        findings: NIH names in alphabetical order; empty means "No Finding".
        lesions: side, zone and size of each of them.
        age: years.
        sex: "M" or "F".
        view: "PA" or "AP".
    """

    image: np.ndarray
    thorax: np.ndarray
    lungs: np.ndarray
    findings: tuple[str, ...]
    lesions: tuple[Lesion, ...]
    age: int
    sex: str
    view: str


def chest_phantom(seed: int, size: int = 512, findings: Sequence[str] | None = None, film: int = 0) -> ChestPhantom:
    """Draw the chest film of a made-up patient.

    The same arguments give the same bits. Another ``size`` shows the same patient in the same position (only the film's
    noise differs), other ``findings`` the same patient with another illness, another ``film`` the same patient
    positioned and exposed anew.

    Args:
        seed: which patient, 0 or more.
        size: pixels on each side of the square film, at least 32.
        findings: what the film shows, names of `FINDINGS`; ``()`` for a normal film, ``None`` to draw (half normal).
        film: which film of that patient, 0 or more.

    Raises:
        UserError: if a finding is unknown, ``size`` is below 32, or ``seed`` or ``film`` is negative.
    """
    if seed < 0 or film < 0:
        raise UserError(f"seed and film must not be negative, got seed {seed} and film {film}")
    if size < 32:
        raise UserError(f"size must be at least 32 pixels, got {size}")
    anatomy_rng, bone_rng, vessel_rng = np.random.default_rng(seed).spawn(3)
    view_rng, choice_rng, lesion_rng, film_rng = np.random.default_rng([seed, film]).spawn(4)
    names = _draw_findings(choice_rng) if findings is None else _known(findings)
    side = int(choice_rng.choice([-1, 1]))
    view = "AP" if view_rng.random() < 0.35 else "PA"
    healthy = Patient.draw(anatomy_rng)
    patient = reshape(healthy, view, names, side)
    projection = _position(size, view_rng)
    chest = Chest(patient, *projection.grid(), yaw=view_rng.uniform(-0.07, 0.07))

    replaced, visible, lesions = change_air(chest, names, side, lesion_rng)
    air = chest.air * np.clip(1 - replaced, 0, None)
    grain = 1 - 0.012 * cloud(film_rng, size, 50) - 0.016 * cloud(film_rng, size, 150)
    vessels = 5.5 * draw_vessels(healthy, projection, vessel_rng) * chest.air * visible
    water = chest.body * (1 + 0.03 * cloud(film_rng, size, 5)) + _soft_parts(chest, film_rng) - air * grain + vessels
    water -= draw_airways(chest, projection)
    water += draw_bones(healthy, projection, chest.yaw, view, bone_rng) + draw_spine(chest)
    image = expose(water, film_rng)
    return ChestPhantom(image, chest.thorax, chest.lungs, names, lesions, patient.age, patient.sex, view)


def _known(findings: Sequence[str]) -> tuple[str, ...]:
    unknown = sorted(set(findings) - set(FINDINGS))
    if unknown:
        raise UserError(f"the phantom cannot show {', '.join(unknown)}; choose from {', '.join(FINDINGS)}")
    return tuple(sorted(set(findings)))


def _draw_findings(rng: np.random.Generator) -> tuple[str, ...]:
    """No finding for half the films, else one, two or three."""
    number = rng.choice(4, p=[0.5, 0.3, 0.15, 0.05])
    return tuple(sorted(rng.choice(list(FINDINGS), number, replace=False).tolist()))


def _position(size: int, rng: np.random.Generator) -> Projection:
    angle = np.clip(rng.normal(0, 0.045), -0.17, 0.17)
    shift = (rng.uniform(-0.05, 0.05), rng.uniform(-0.03, 0.1))
    return Projection(size, float(angle), float(rng.uniform(1.0, 1.22)), shift)


def _soft_parts(chest: Chest, rng: np.random.Generator) -> np.ndarray:
    """Path through breasts and, on some films, the chin, less that through gas in the stomach."""
    patient, level = chest.patient, chest.level
    below = (level - rng.uniform(0.68, 0.85)) / 0.33
    breast = chord(np.hypot((chest.aside - 0.62 * patient.width) / 0.36, below), 3.5)
    water = patient.breast * breast * (0.35 + 0.65 * np.clip(below + 0.4, 0, 1))  # it hangs: thickest at its lower edge
    if rng.random() < 0.3:
        water = water + 0.35 * chord(np.hypot(chest.x / 0.24, (level + 0.42) / 0.2), 3)
    if rng.random() < 0.55:
        x, y = chest.x - rng.uniform(0.26, 0.36), chest.y - chest.dome - 0.1
        gas = chord(np.hypot(x / rng.uniform(0.08, 0.16), y / rng.uniform(0.05, 0.09)), 4)
        water = water - rng.uniform(0.2, 0.4) * gas
    return water
