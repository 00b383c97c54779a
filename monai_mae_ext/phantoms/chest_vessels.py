"""Vessels that branch and thin from the hila to the periphery, and the airways."""

from __future__ import annotations

import math

import numpy as np

from monai_mae_ext.phantoms.chest_anatomy import Chest, Patient, chord, step
from monai_mae_ext.phantoms.chest_projection import Projection, normal, solid, tube

__all__ = ["draw_airways", "draw_vessels"]


def draw_vessels(patient: Patient, film: Projection, rng: np.random.Generator) -> np.ndarray:
    """Path through the vessels of both lungs as if they had no edge, (size, size) float32."""
    points = []
    for side in (-1, 1):
        points += _tree(patient, side, film.size / 512, rng)
    return film.splat(np.concatenate(points, axis=1))


def _tree(patient: Patient, side: int, density: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Seven generations; each branch bends a little and splits in two, the lower ones being larger."""
    hilum_y = patient.apex + patient.height * (0.52 if side < 0 else 0.47)
    n_roots = 16
    heading = np.linspace(-1.4, 1.5, n_roots) + rng.normal(0, 0.12, n_roots)  # 0 is outwards, pi/2 is down
    start = np.stack([np.full(n_roots, side * 0.17), hilum_y + 0.13 * np.sin(heading)])
    start += rng.normal(0, 0.02, (2, n_roots))
    radius = 0.0125 * (0.85 + 0.3 * np.sin(heading)) * rng.uniform(0.6, 1.25, n_roots)
    length = 0.11 * rng.uniform(0.7, 1.3, n_roots) * (1 + 0.35 * np.abs(np.sin(heading)))
    points = [_interlobar(patient, side, hilum_y, density)]
    for generation in range(7):
        steps = max(int(60 * density * 0.8**generation), 6)
        t = np.linspace(0, 1, steps)
        bend = rng.normal(0, 0.45, heading.size)
        angle = heading[:, None] + bend[:, None] * t
        stride = length[:, None] / steps
        curve = start[:, :, None] + np.cumsum(np.stack([side * np.cos(angle), np.sin(angle)]) * stride, axis=-1)
        thick = radius[:, None] * (1 - 0.18 * t)
        disc = solid(max(14 - 2 * generation, 3))
        points.append(tube(curve, disc, across=normal(curve) * thick, area=np.pi * thick**2))
        fork = rng.uniform(0.1, 0.7, (2, heading.size)) * np.array([[1], [-1]])
        heading = (angle[:, -1] + fork).ravel()
        start = np.repeat(curve[:, None, :, -1], 2, axis=1).reshape(2, -1)
        radius = (thick[:, -1] * rng.uniform(0.6, 0.92, (2, radius.size))).ravel()
        length = (length * rng.uniform(0.55, 1.0, (2, length.size))).ravel()
    return points


def _interlobar(patient: Patient, side: int, hilum_y: float, density: float) -> np.ndarray:
    """The pulmonary artery beside the mediastinum, which makes the bulk of the hilar shadow."""
    t = np.linspace(0, 1, int(150 * density))
    reach = 0.24 if side < 0 else 0.17
    curve = np.stack([side * (0.12 + 0.08 * np.sin(np.pi * (0.25 + 0.5 * t))), hilum_y - 0.05 + reach * t])
    thick = 0.036 * (1 - 0.6 * t) * np.sin(np.pi * np.clip(t + 0.1, 0, 0.5))
    return tube(curve, solid(90), across=normal(curve) * thick, area=0.55 * np.pi * thick**2)


def draw_airways(chest: Chest, film: Projection) -> np.ndarray:
    """Path through the air of trachea and main bronchi, (size, size) float32."""
    patient = chest.patient
    middle = 0.012 + 0.2 * math.sin(chest.yaw) + patient.shift * 0.4
    carina = patient.apex + 0.4 * patient.height
    trachea = 0.11 * chord((chest.x - middle) / 0.043) * step(carina - chest.y, 0.012) * step(chest.level + 0.62, 0.02)
    t = np.linspace(0, 1, film.size // 4)
    bronchi = []
    for side, reach, drop in ((-1, 0.15, 0.13), (1, 0.2, 0.12)):
        curve = np.stack([middle + side * reach * t, carina - 0.02 + drop * t])
        thick = 0.03 * (1 - 0.35 * t)
        bronchi.append(tube(curve, solid(60), across=normal(curve) * thick, area=np.pi * thick**2 * (1 - 0.6 * t)))
    return trachea + film.splat(np.concatenate(bronchi, axis=1))
