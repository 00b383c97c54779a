"""The bones of a frontal chest film as tubes: ribs, clavicles, scapulae, upper arms and the spine.

Lengths and axes as in `chest_anatomy`; the third axis grows towards the patient's front.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.interpolate import PchipInterpolator

from monai_mae_ext.phantoms.chest_anatomy import Chest, Patient, wall
from monai_mae_ext.phantoms.chest_projection import Projection, hollow, normal, tube

__all__ = ["draw_bones", "draw_spine"]


def draw_bones(patient: Patient, film: Projection, yaw: float, view: str, rng: np.random.Generator) -> np.ndarray:
    """Path through bone, water equivalent, of everything but the spine: (size, size) float32."""
    density = film.size / 512
    slope = rng.uniform(0.95, 1.15)
    points = []
    for side in (-1, 1):
        for number in range(1, 12):
            points.append(_rib(patient, number, side, slope * rng.uniform(0.95, 1.05), yaw, density))
        points += _shoulder(patient, side, view, yaw, density, rng)
    bone = film.splat(np.concatenate(points, axis=1))
    return 0.2 * (1 - np.exp(-bone / 0.2))  # a hardened beam sees less of thick bone


def _rib(patient: Patient, number: int, side: int, slope: float, yaw: float, density: float) -> np.ndarray:
    """A rib runs from the spine round the side to the front, falling all the way; its front part is flat and faint."""
    spacing = patient.height / 8.6
    reach = {1: 2.55, 10: 2.2, 11: 1.7}.get(number, 2.62)
    turn = np.linspace(0.12, reach, int(420 * density))
    start = patient.apex + 0.02 + (number - 1.15) * spacing
    fall = patient.height * slope * (0.26 if number == 1 else min(0.33 + 0.06 * number, 0.6))
    y = start + fall * (0.5 * (1 - np.cos(turn)) + 0.02 * np.sin(2 * turn))
    half_width = wall(patient, y) if number > 1 else np.full_like(y, 0.58 * patient.width)
    x = side * (half_width + 0.004) * np.sin(turn) ** 0.82
    z = -0.62 * patient.width * np.cos(turn)
    curve = np.stack([math.cos(yaw) * x + math.sin(yaw) * z, y, math.cos(yaw) * z])
    front = np.clip((turn - 1.5) / 0.8, 0, 1)
    height = 0.026 * (1 + 0.25 * front) * np.where(turn < 0.3, 0.75, 1.0)
    thickness = 0.011 * (side * np.sin(turn))
    return tube(
        curve,
        hollow(max(int(20 * density), 8)),
        across=np.stack([0 * height, height]),
        along=np.stack([thickness, 0.3 * np.abs(thickness)]),
        area=(0.0015 if number == 1 else 0.0029) * (1 - 0.55 * front) * (1 - 0.35 * np.sin(turn) ** 6),
    )


def _bone(nodes: list[tuple[float, float]], radius: list[float], area: float, density: float) -> np.ndarray:
    """A hollow bone through ``nodes`` in the plane of the film, with a ``radius`` at each node; its ends fade."""
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(nodes, axis=0).T))])
    fine = np.linspace(0, along[-1], int(300 * density * along[-1]) + 20)
    curve = PchipInterpolator(along, np.array(nodes))(fine).T
    thick = PchipInterpolator(along, radius)(fine)
    section = hollow(int(density * (16 + 900 * max(radius))))
    ends = np.clip(np.minimum(fine, along[-1] - fine) / 0.06, 0, 1)
    return tube(curve, section, across=normal(curve) * thick, area=area * ends * thick / np.mean(radius))


def _shoulder(
    patient: Patient, side: int, view: str, yaw: float, density: float, rng: np.random.Generator
) -> list[np.ndarray]:
    """Clavicle, scapula and the upper end of the humerus of one side."""
    wide, apex, high = patient.width, patient.apex, patient.height

    def at(x: float, level: float, depth: float = 0.0) -> tuple[float, float]:
        return side * x * wide + math.sin(yaw) * depth, apex + level * high

    lift = rng.uniform(-0.03, 0.04) + (0.05 if view == "AP" else 0.0)
    # arms rolled forward, as for a PA film, clear the lungs of the scapulae
    out = rng.uniform(-0.03, 0.06) + (0.0 if view == "AP" else 0.14)
    tip = 1.32 + 0.3 * out
    collar = [at(0.1, 0.2, 0.35), at(0.45, 0.15 - lift, 0.25), at(0.8, 0.04 - lift), at(1.1, -0.02 - lift), at(tip, 0)]
    medial = [at(0.86 + out, 0.03), at(0.84 + out, 0.2), at(0.9 + out, 0.45), at(0.97 + out, 0.6)]
    lateral = [at(0.97 + out, 0.6), at(1.06 + out, 0.45), at(1.16 + out, 0.3), at(1.24 + out, 0.17)]
    spine = [at(0.88 + out, 0.14), at(1.1 + out, 0.07), at(tip + 0.02, 0.0)]
    coracoid = [at(1.17 + out, 0.13), at(1.12 + out, 0.09), at(1.2 + out, 0.08)]
    ball = tip + 0.12
    humerus = [at(ball - 0.06, 0.02), at(ball, 0.1), at(ball + 0.06, 0.2), at(ball + 0.1, 0.4), at(ball + 0.14, 1.1)]
    return [
        _bone(collar, [0.032, 0.024, 0.02, 0.024, 0.03], 0.0046, density),
        _bone(medial, [0.006, 0.006, 0.007, 0.01], 0.0002, density),
        _bone(lateral, [0.01, 0.014, 0.018, 0.03], 0.0014, density),
        _bone(spine, [0.01, 0.02, 0.03], 0.0012, density),
        _bone(coracoid, [0.02, 0.02, 0.018], 0.0007, density),
        _bone(humerus, [0.03, 0.095, 0.085, 0.05, 0.045], 0.008, density),
        _blade(medial, lateral, density),
    ]


def _blade(medial: list, lateral: list, density: float) -> np.ndarray:
    """The thin plate of the scapula, between its two borders."""
    steps = int(150 * density)
    fine = np.linspace(0, 1, steps)
    borders = (np.array(medial), np.array(lateral[::-1]))
    inner, outer = (PchipInterpolator(np.linspace(0, 1, len(border)), border)(fine).T for border in borders)
    sheet = inner[:, :, None] * (1 - fine) + outer[:, :, None] * fine
    area = np.hypot(*(outer - inner)) * np.ptp(inner[1]) / steps**2
    volume = np.broadcast_to(0.012 * area[:, None], sheet.shape[1:])
    return np.concatenate([sheet.reshape(2, -1), volume.reshape(1, -1)])


def draw_spine(chest: Chest) -> np.ndarray:
    """Path through the vertebrae, water equivalent, (size, size) float32: bodies, end plates, pedicles, processes."""
    patient = chest.patient
    film = np.zeros_like(chest.x)
    near = chest.aside < 0.2
    x, y = chest.x[near] + 0.04 * math.sin(chest.yaw), chest.y[near]
    number = (y - patient.apex) / (patient.height / 8.6) + 0.35
    within = (number - np.floor(number)) - 0.5  # -0.5 .. 0.5 down one vertebra and its disc
    half = 0.055 + 0.035 * np.clip(chest.level[near] + 0.15, 0, 1.2) + 0.012 * (2 * np.abs(within)) ** 3
    column = np.clip(1 - np.abs(x / half) ** 6, 0, 1) ** 0.5
    body = column * (0.17 + 0.07 * np.exp(-(((np.abs(within) - 0.37) / 0.05) ** 2)) - 0.09 * (np.abs(within) > 0.42))
    body += 0.06 * np.exp(-(((np.abs(x) - 0.93 * half) / 0.008) ** 2)) * (np.abs(within) < 0.42)
    pedicle = np.hypot((np.abs(x) - 0.62 * half) / 0.02, (within + 0.12) / 0.17)
    process = np.hypot(x / 0.014, (within - 0.22) / 0.24)
    ring = np.exp(-(((pedicle - 0.8) / 0.3) ** 2)) + 1.1 * np.exp(-(((process - 0.75) / 0.35) ** 2))
    sideways = np.exp(-(((within + 0.1) / 0.12) ** 2)) * np.clip((0.16 - np.abs(x)) / 0.03, 0, 1) * (np.abs(x) > half)
    film[near] = 0.32 * body + 0.04 * ring + 0.03 * sideways
    return film
