"""From the patient to the film: where a point falls, and how tubes of points add up to a shadow.

A tube is a curve with an elliptic cross-section. Its points carry volume, and each pixel adds up what falls on it: so a
hollow bone shows its bright cortical edges, and a rib its bright lateral turn, without being told to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Projection", "hollow", "normal", "solid", "tube"]

GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def solid(points: int) -> np.ndarray:
    """A full disc: a cross-section of (cos, sin, weight), (3, points); the golden angle spreads them evenly."""
    number = np.arange(points) + 0.5
    radius, angle = np.sqrt(number / points), number * GOLDEN_ANGLE
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(points, 1 / points)])


def hollow(points: int) -> np.ndarray:
    """Cortical bone round marrow: as ``solid``, (3, 2 * points), but 0.62 of the weight lies on the rim."""
    angle = 2 * np.pi * np.arange(points) / points
    rim = np.stack([np.cos(angle), np.sin(angle), np.full(points, 0.62 / points)])
    return np.concatenate([rim, solid(points) * [[1], [1], [0.38]]], axis=1)


@dataclass(frozen=True)
class Projection:
    """A film of ``size`` x ``size`` pixels, on which the patient lies turned by ``angle`` (rad), scaled and shifted."""

    size: int
    angle: float
    scale: float
    shift: tuple[float, float]

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """The patient's (x, y) at the centre of each pixel, two (size, size) float32 arrays."""
        centre = ((np.arange(self.size) + 0.5) * (2 / self.size) - 1).astype(np.float32)
        u, v = (centre - self.shift[0])[None, :] / self.scale, (centre - self.shift[1])[:, None] / self.scale
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return cos * u + sin * v, cos * v - sin * u

    def splat(self, points: np.ndarray) -> np.ndarray:
        """Add up ``points`` (3, n): x, y and volume. Returns the path length at each pixel, (size, size) float32."""
        x, y, volume = points
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        side = self.size + 2
        column = ((cos * x - sin * y) * self.scale + self.shift[0] + 1) * (self.size / 2) + 0.5
        row = ((sin * x + cos * y) * self.scale + self.shift[1] + 1) * (self.size / 2) + 0.5
        inside = (column >= 0) & (column < side - 1) & (row >= 0) & (row < side - 1)
        column, row, volume = column[inside], row[inside], volume[inside]
        left, top = column.astype(np.intp), row.astype(np.intp)
        right_part, low_part = column - left, row - top
        index = top * side + left
        film = np.zeros(side * side)
        for offset, part in (
            (0, (1 - right_part) * (1 - low_part)),
            (1, right_part * (1 - low_part)),
            (side, (1 - right_part) * low_part),
            (side + 1, right_part * low_part),
        ):
            film += np.bincount(index + offset, volume * part, side * side)
        pixel = (2 / self.size / self.scale) ** 2
        return (film.reshape(side, side)[1:-1, 1:-1] / pixel).astype(np.float32)


def tube(
    curve: np.ndarray, section: np.ndarray, across: np.ndarray, area: np.ndarray, along: np.ndarray | float = 0.0
) -> np.ndarray:
    """Points of tubes, (3, n): x, y and volume.

    Args:
        curve: centre lines, (d, ..., steps) with d = 2 or 3; the beam runs along the third axis: it only adds length.
        section: points of the cross-section, (3, m), ``hollow(n)`` or ``solid(n)``.
        across: half-axis of the cross-section that its cosines scale, (2, ..., steps).
        area: absorbing area of the cross-section, (..., steps).
        along: half-axis that its sines scale, alike; 0 where that axis lies along the beam.
    """
    length = np.linalg.norm(np.gradient(curve, axis=-1), axis=0)
    twist = GOLDEN_ANGLE * np.arange(length.size)  # else the points of all sections would line up to stripes
    cos, sin, weight = section[:, :, None]
    cos, sin = cos * np.cos(twist) - sin * np.sin(twist), sin * np.cos(twist) + cos * np.sin(twist)
    across, along = (np.broadcast_to(axis, curve[:2].shape).reshape(2, 1, -1) for axis in (across, along))
    flat = curve[:2].reshape(2, 1, -1) + cos * across + sin * along
    volume = weight * (length * area).reshape(1, -1)
    return np.concatenate([flat.reshape(2, -1), volume.reshape(1, -1)])


def normal(curve: np.ndarray) -> np.ndarray:
    """Unit vectors across ``curve`` (d, ..., steps) in the plane of the film, (2, ..., steps)."""
    step_x, step_y = np.gradient(curve[:2], axis=-1)
    return np.stack([-step_y, step_x]) / np.maximum(np.hypot(step_x, step_y), 1e-9)
