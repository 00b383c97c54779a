"""The chest as outlines: who the patient is, and where lungs, mediastinum, diaphragm and body end.

Lengths are in units of half the film side (about 20 cm). ``x`` grows to the right of the film, the patient's left, and
``y`` downwards. ``level`` is ``y`` measured by the patient: 0 at the lung apices, 1 at the top of the right dome.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import PchipInterpolator

__all__ = ["Chest", "Patient", "chord", "profile", "step", "wall"]

APEX_X = 0.41  # the apices lie this far aside, as a share of the cavity's half-width
WIDEST = 1.05  # level at which the cavity is widest
SIDEWAYS, UPWARDS = 2.0, 2.25  # exponents of its super-elliptic outline


@dataclass(frozen=True)
class Patient:
    """What stays the same from film to film of one person."""

    age: int
    sex: str
    width: float  # largest half-width of the thoracic cavity
    height: float  # from the apices to the right dome
    apex: float  # y of the lung apices
    fat: float  # 0 lean .. 1 obese
    heart: float  # scale of the heart's borders, 1 is usual
    knob: float  # scale of the aortic knob
    left_dome: float  # how much lower the left dome is
    breast: float  # thickness of the breast shadow, 0 for none
    shift: float = 0.0  # sideways pull on the mediastinum
    raised: tuple[float, float] = (0.0, 0.0)  # elevation of the right and the left dome

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Patient:
        """Draw a patient at random."""
        age = int(np.clip(rng.normal(50, 17), 16, 90))
        sex = "F" if rng.random() < 0.45 else "M"
        fat = float(rng.beta(1.6, 2.6))
        width = rng.uniform(0.59, 0.69)
        height = width * rng.uniform(1.5, 1.85) - 0.1 * fat
        return cls(
            age=age,
            sex=sex,
            width=float(width),
            height=float(height),
            apex=float(-0.22 - height / 2 + rng.uniform(-0.03, 0.05)),
            fat=fat,
            heart=float(rng.uniform(0.74, 0.96) + 0.1 * fat),
            knob=float(rng.uniform(0.85, 1.05) + 0.2 * (age > 55)),
            left_dome=float(rng.uniform(0.02, 0.08)),
            breast=float(rng.uniform(0.08, 0.24) + 0.1 * fat) if sex == "F" else 0.12 * fat * (fat > 0.6),
        )


def profile(level: np.ndarray, knots: dict[float, float]) -> np.ndarray:
    """A smooth curve through ``{level: value}``, constant beyond its ends."""
    ends = np.array(list(knots))
    table = np.linspace(ends[0], ends[-1], 400)
    return np.interp(level, table, PchipInterpolator(ends, list(knots.values()))(table)).astype(np.float32)


def chord(radius: np.ndarray, power: float = 2.0) -> np.ndarray:
    """Path through a convex body at ``radius`` (0 centre .. 1 border), 1 in the middle and 0 outside."""
    return np.sqrt(np.clip(1 - np.abs(radius) ** power, 0, None))


def step(distance: np.ndarray, softness: float) -> np.ndarray:
    """0 where ``distance`` is far below zero, 1 far above, with a logistic edge of width ``softness``."""
    return 1 / (1 + np.exp(np.clip(-distance / softness, -30, 30)))


@dataclass(frozen=True)
class Chest:
    """The outlines of ``patient`` evaluated at the points (``x``, ``y``); ``yaw`` is the turn about the spine (rad)."""

    patient: Patient
    x: np.ndarray
    y: np.ndarray
    yaw: float = 0.0

    @cached_property
    def level(self) -> np.ndarray:
        return (self.y - self.patient.apex) / self.patient.height

    @cached_property
    def aside(self) -> np.ndarray:
        """Distance from the midline."""
        return np.abs(self.x)

    @cached_property
    def outline(self) -> np.ndarray:
        """0 deep inside the cavity, 1 on its wall: flat on top between the two apices."""
        return self._radius(np.clip(self.aside - APEX_X * self.patient.width, 0, None))

    @cached_property
    def lung_radius(self) -> np.ndarray:
        """As ``outline``, but each lung has a round apex of its own."""
        beyond = self.aside - APEX_X * self.patient.width
        return self._radius(np.where(beyond > 0, beyond, -0.9 * beyond))

    @cached_property
    def dome(self) -> np.ndarray:
        """y of the diaphragm at each point: falls steeply into the costophrenic angle."""
        patient = self.patient
        right, left = (patient.apex + patient.height - raise_ for raise_ in patient.raised)
        top = right + (left + patient.left_dome - right) * step(self.x, 0.04)
        beyond = self.aside / patient.width - 0.46
        return top + patient.height * np.where(beyond > 0, 1.05 * np.abs(beyond) ** 2.3, 0.35 * beyond**2)

    @cached_property
    def mediastinum(self) -> np.ndarray:
        """0 in its middle, +-1 on its left (+) and right (-) border."""
        patient, level = self.patient, self.level
        right = profile(level, {-0.1: 0.17, 0.1: 0.14, 0.4: 0.13, 0.52: 0.14})
        left = profile(level, {-0.1: 0.17, 0.1: 0.145, 0.25: 0.125})
        left += 0.033 * patient.knob * (1 + np.cos(np.pi * np.clip((level - 0.36) / 0.14, -1, 1)))
        right += patient.heart * profile(level, {0.47: 0.0, 0.6: 0.045, 0.78: 0.1, 0.95: 0.09, 1.2: 0.03})
        left += patient.heart * profile(
            level, {0.4: 0.0, 0.5: 0.055, 0.6: 0.09, 0.7: 0.155, 0.8: 0.23, 0.9: 0.285, 0.97: 0.3, 1.05: 0.27, 1.2: 0.1}
        )
        x = self.x - 0.25 * math.sin(self.yaw) - patient.shift * np.clip(level, 0, 1)
        return x / np.where(x > 0, left, right)

    @cached_property
    def thorax(self) -> np.ndarray:
        """Both lungs and the mediastinum, from the apices to the diaphragm (bool)."""
        return (self.outline < 1) & (self.y < self.dome)

    @cached_property
    def lungs(self) -> np.ndarray:
        """The two lung fields beside the mediastinum (bool)."""
        return self.thorax & (self.lung_radius < 1) & (np.abs(self.mediastinum) > 1)

    @cached_property
    def air(self) -> np.ndarray:
        """Path through lung, 0 to 0.74: full in the fields, less behind the heart, a rest behind the domes."""
        heart = profile(self.level, {0.3: 0.97, 0.55: 0.9, 0.8: 0.82, 1.0: 0.86})
        above = step(self.dome - self.y, 0.005)
        behind = 0.13 * (1 - above) * np.exp(-np.clip(self.y - self.dome, 0, None) / 0.1)
        return 0.74 * chord(self.lung_radius, 3.0) * (1 - heart * chord(self.mediastinum, 2.5)) * (above + behind)

    @cached_property
    def body(self) -> np.ndarray:
        """Path through the whole body as if it were water: neck, shoulders, trunk and arms."""
        patient, level, aside = self.patient, self.level, self.aside
        trunk = patient.width + 0.1 + 0.2 * patient.fat
        neck = 0.2 + 0.08 * patient.fat
        shoulder = {-0.7: neck, -0.22: neck + 0.03, -0.1: 0.42, -0.03: 0.72, 0.03: 0.93, 0.12: 1.02, 0.25: 0.96}
        edge = profile(level, shoulder | {0.42: trunk + 0.02, 0.55: trunk, 1.0: trunk - 0.02, 1.6: trunk + 0.05})
        depth = profile(level, {-0.4: 0.5, -0.05: 0.54, 0.1: 0.66, 0.4: 0.95, 0.8: 1.04, 1.2: 1.13})
        return (1 + 0.22 * patient.fat) * np.maximum(depth * chord(aside / edge, 3.4), self._arm())

    def _arm(self) -> np.ndarray:
        """Upper arms that hang from the shoulders, a little away from the trunk."""
        patient = self.patient
        radius = 0.16 + 0.06 * patient.fat
        down = np.clip(self.level - 0.12, 0, None)
        centre = patient.width + 0.27 + 0.14 * patient.fat + 0.12 * down
        return 2.8 * radius * chord((self.aside - centre) / radius) * step(self.level - 0.15, 0.03)

    def _radius(self, beyond: np.ndarray) -> np.ndarray:
        """0 .. 1 from the base's middle to the wall, ``beyond`` being the distance sideways of the apices."""
        width = self.patient.width * (1 - APEX_X)
        down = np.clip(1 - self.level / WIDEST, 0, None)
        return ((beyond / width) ** SIDEWAYS + down**UPWARDS) ** (1 / UPWARDS)


def wall(patient: Patient, y: np.ndarray) -> np.ndarray:
    """Half-width of the thoracic cavity at height ``y``: where `Chest.outline` is 1."""
    down = np.clip(1 - (y - patient.apex) / patient.height / WIDEST, 0, 1)
    return patient.width * (APEX_X + (1 - APEX_X) * (1 - down**UPWARDS) ** (1 / SIDEWAYS))
