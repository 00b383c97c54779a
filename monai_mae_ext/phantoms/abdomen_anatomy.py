"""Where the organs of the upper abdomen lie, in millimetres: x to the right, y to the front, z to the head.

The origin is in the middle of the body at the height of the first lumbar vertebra. Sizes and places are of an average
adult; each patient draws his own around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from monai_mae_ext.phantoms.shapes import Canvas

__all__ = ["ORGANS", "Painter", "label_of", "paint_organs"]

ORGANS = (
    "spleen", "right kidney", "left kidney", "gallbladder", "esophagus", "liver", "stomach", "aorta",
    "inferior vena cava", "portal and splenic veins", "pancreas", "right adrenal gland", "left adrenal gland",
)  # fmt: skip
"""In BTCV's order: the first is label 1."""


class Painter:
    """Paints organs as labels, each with small changes of size and place of its own.

    ``labels`` are the organs; ``sinus`` is the fat in the kidneys' middle, ``content`` what the stomach holds, both
    bool.

    Args:
        canvas: where to paint.
        inside: bool, where organs may be.
        rng: draws the changes.
    """

    def __init__(self, canvas: Canvas, inside: np.ndarray, rng: np.random.Generator) -> None:
        self.canvas, self.inside, self.rng = canvas, inside, rng
        self.labels = np.zeros(canvas.shape, np.uint8)
        self.sinus = np.zeros(canvas.shape, bool)
        self.content = np.zeros(canvas.shape, bool)

    def about(self, values: Sequence[float], spread: float) -> np.ndarray:
        """The values, each moved by up to ``spread``."""
        return np.asarray(values, float) + self.rng.uniform(-spread, spread, len(values))

    def ellipsoid(
        self, organ: str, centre: Sequence[float], radii: Sequence[float], angles: Sequence[float] = (0, 0, 0)
    ) -> Ellipsoid:
        """Paint an ellipsoid; returns the centre, radii and angles that it was drawn with."""
        sizes = np.asarray(radii) * self.rng.uniform(0.92, 1.08, 3)
        drawn = Ellipsoid(self.about(centre, 3), sizes, self.about(angles, 6))
        box, distance = self.canvas.ellipsoid(*drawn)
        self.fill(organ, box, distance < 1)
        return drawn

    def tube(self, organ: str, points: Sequence[Sequence[float]], radii: ArrayLike) -> None:
        """Paint a tube along points."""
        box, distance = self.canvas.tube(np.stack([self.about(point, 2.5) for point in points]), radii)
        self.fill(organ, box, distance < 1)

    def fill(self, organ: str, box: tuple[slice, ...], mask: np.ndarray) -> None:
        self.labels[box][mask & self.inside[box]] = label_of(organ)


class Ellipsoid(NamedTuple):
    """Arguments of ``Canvas.ellipsoid``."""

    centre: np.ndarray
    radii: np.ndarray
    angles: np.ndarray


def label_of(organ: str) -> int:
    """BTCV's number of an organ."""
    return ORGANS.index(organ) + 1


def paint_organs(canvas: Canvas, inside: np.ndarray, rng: np.random.Generator) -> Painter:
    """Paint all organs into the body's ``inside``; later ones lie over earlier ones."""
    painter = Painter(canvas, inside, rng)
    painter.ellipsoid("liver", (74, 4, 42), (70, 76, 66), (0, 12, 0))
    painter.ellipsoid("liver", (8, 40, 55), (62, 34, 30), (0, -12, 0))
    painter.ellipsoid("spleen", (-102, -34, 48), (27, 42, 50), (15, 0, 15))
    paint_stomach(painter)
    paint_pancreas(painter)
    for side, name, height in ((1, "right", -30), (-1, "left", -14)):
        paint_kidney(painter, side, f"{name} kidney", height)
        paint_adrenal(painter, side, f"{name} adrenal gland", height + 66)
    painter.ellipsoid("gallbladder", (46, 44, -6), (14, 15, 25), (25, 0, 0))
    wide = rng.uniform(9, 12.5)
    painter.tube("aorta", [(-6, -24, 140), (-9, -27, 60), (-8, -30, 0), (-4, -26, -130)], wide)
    painter.tube("inferior vena cava", [(24, 0, 140), (24, -6, 80), (20, -24, 20), (18, -28, -130)], wide * 1.05)
    painter.tube("esophagus", [(-8, -8, 140), (-14, -2, 95), (-36, 6, 72)], (8, 8, 9))
    return painter


def paint_stomach(painter: Painter) -> None:
    """Fundus, body and antrum, hollow."""
    parts = [((-58, 10, 66), (34, 33, 36)), ((-48, 34, 26), (25, 23, 40)), ((-12, 46, -2), (38, 17, 17))]
    for centre, radii in parts:
        drawn = painter.ellipsoid("stomach", centre, radii)
        box, distance = painter.canvas.ellipsoid(*drawn)
        painter.content[box] |= distance < 1 - 5 / min(drawn[1])


def paint_pancreas(painter: Painter) -> None:
    """Head, body and tail; behind it the splenic vein, which joins the portal vein."""
    course = [(32, 14, -22), (22, 14, -4), (0, 20, 6), (-36, 6, 16), (-74, -18, 30)]
    painter.tube("pancreas", course, (15, 13, 9, 9, 10))
    painter.tube("portal and splenic veins", [(14, 4, 0), (34, 2, 22), (54, 4, 42)], (7.5, 7.5, 6))
    painter.tube("portal and splenic veins", [(14, 4, 0), (-34, -8, 14), (-80, -30, 34)], (6.5, 5, 4.5))


def paint_kidney(painter: Painter, side: int, name: str, height: float) -> None:
    """A kidney, out of which the sinus is cut on the inner side."""
    centre, radii, angles = painter.ellipsoid(name, (side * 58, -44, height), (27, 25, 54), (8, -side * 12, -side * 25))
    middle, shares = np.array([side * 15, -6, 0]), np.array([0.5, 0.45, 0.42])
    box, distance = painter.canvas.ellipsoid(centre - middle, radii * shares, angles)
    own = painter.labels[box] == label_of(name)
    painter.labels[box][own & (distance < 1)] = 0
    painter.sinus[box] |= own & (distance < 1)


def paint_adrenal(painter: Painter, side: int, name: str, height: float) -> None:
    """Two thin limbs that meet at the front, in the fat above the kidney and beside the great vessels."""
    front = painter.about((side * 34, -24, height), 2)
    box, distance = painter.canvas.ellipsoid(front + np.array([side * 2, -14, 0]), (16, 24, 22))
    painter.labels[box][(distance < 1) & (painter.labels[box] == label_of("liver"))] = 0
    for turn in (-10, 28):
        angle = np.deg2rad(turn)
        centre = front + np.array([side * np.sin(angle), -np.cos(angle), -0.2]) * 13
        box, distance = painter.canvas.ellipsoid(centre, (3.2, 15, 15), (0, 0, side * turn))
        painter.fill(name, box, distance < 1)
