"""A CT of an upper abdomen that never was: thirteen organs with exact labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from monai_mae_ext.phantoms.abdomen_anatomy import ORGANS, Painter, label_of, paint_organs
from monai_mae_ext.phantoms.shapes import Canvas, check_patient

__all__ = ["AbdomenPhantom", "abdomen_phantom"]

LOW, HIGH = (-190.0, -160.0, -105.0), (190.0, 140.0, 125.0)
HU = {
    "spleen": 115, "right kidney": 165, "left kidney": 165, "gallbladder": 12, "esophagus": 48, "liver": 100,
    "stomach": 62, "aorta": 150, "inferior vena cava": 128, "portal and splenic veins": 155, "pancreas": 88,
    "right adrenal gland": 72, "left adrenal gland": 72,
}  # fmt: skip
AIR, LUNG, FAT, MUSCLE, MARROW, BONE = -1000, -840, -105, 55, 170, 480


class AbdomenPhantom(NamedTuple):
    """``image`` in Hounsfield units, int16, and ``label``, uint8, both ``(X, Y, Z)`` in RAS; ``affine`` to mm."""

    image: np.ndarray
    label: np.ndarray
    affine: np.ndarray


def abdomen_phantom(seed: int, spacing: Sequence[float] = (2.5, 2.5, 2.5)) -> AbdomenPhantom:
    """Draw a patient and scan him, in the portal venous phase.

    The same seed gives the same organs at every spacing, and the same bytes at the same one. Noise, texture and what
    the stomach holds are drawn anew for each spacing.

    Args:
        seed: which patient, at least 0.
        spacing: of the voxels in millimetres, each from 0.5 to 10.

    Raises:
        UserError: for arguments out of range.
    """
    check_patient(seed, spacing)
    rng = np.random.default_rng([seed, 13])
    canvas = Canvas(LOW, HIGH, spacing, rng)
    image = np.full(canvas.shape, AIR, np.float32)
    inside, above = paint_body(canvas, image, rng)
    painter = paint_organs(canvas, inside, rng)
    paint_lungs(image, inside, above, painter)
    paint_bowel(canvas, image, inside & ~above & (painter.labels == 0), rng)
    paint_values(image, painter, rng)
    paint_table(canvas, image)
    return AbdomenPhantom(scan(image, spacing, rng), painter.labels, canvas.affine)


def paint_body(canvas: Canvas, image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Skin, fat, wall, ribs, spine; returns the inside of the wall, and where it is above the diaphragm."""
    x, y, z = canvas.places
    wide, deep = rng.uniform(160, 176), rng.uniform(112, 126)
    outline = np.sqrt((x / wide) ** 2 + (y / deep) ** 2)
    skin, wall = outline < 1, rng.uniform(0.84, 0.93)
    image[skin] = FAT
    image[(outline < wall) & (outline > wall - 0.07)] = MUSCLE
    inside = outline < wall - 0.07
    image[inside] = FAT
    ribs = (np.abs(outline - wall + 0.02) < 0.035) & (np.sin((z + 0.45 * y) / 4.6) > 0.45) & (z > -35 + 0.3 * y)
    image[ribs & (y < 95)] = BONE
    for side in (1, -1):
        image[((x - side * 36) / 17) ** 2 + ((y + 58) / 16) ** 2 < np.clip(1 - (z - 20) / 60, 0, 1)] = MUSCLE
        image[((x - side * 45) / 36) ** 2 + ((y + 92) / 17) ** 2 < 1] = MUSCLE
    body = np.sqrt((x / 22) ** 2 + ((y + 62) / 18) ** 2)
    disc = np.cos(2 * np.pi * z / 36) > 0.82
    image[body < 1] = np.where(disc, 75, np.where(body > 0.86, BONE, MARROW))[body < 1]
    arch = ((x / 7) ** 2 + ((y + 100) / 20) ** 2 < 1) | ((x / 26) ** 2 + ((y + 84) / 6) ** 2 < 1)
    image[arch & ~disc] = BONE
    image[(x / 9) ** 2 + ((y + 84) / 8) ** 2 < 1] = 25
    inside = inside & (body > 1) & (y > -95)
    dome = 112 - ((np.abs(x) - 70) / 9) ** 2 / 6 - (y / 14) ** 2
    return inside, inside & (z > dome)


def paint_lungs(image: np.ndarray, inside: np.ndarray, above: np.ndarray, painter: Painter) -> None:
    """Air above the diaphragm; organs end there, but for the vessels and the oesophagus."""
    through = np.isin(painter.labels, [label_of(name) for name in ("aorta", "inferior vena cava", "esophagus")])
    painter.labels[above & ~through] = 0
    image[above] = LUNG


def paint_bowel(canvas: Canvas, image: np.ndarray, free: np.ndarray, rng: np.random.Generator) -> None:
    """Loops of bowel in front, below the other organs: wall, fluid and gas."""
    for _ in range(9):
        start = rng.uniform((-95, 0, -105), (95, 70, -45))
        points = start + np.cumsum(rng.normal(0, (26, 14, 14), (4, 3)), axis=0)
        box, distance = canvas.tube(points, rng.uniform(10, 16))
        loop = (distance < 1) & free[box]
        image[box][loop] = 50
        lumen = loop & (distance < 0.75)
        gas = canvas.places[1][box] > points[:, 1].mean() + rng.uniform(-4, 10)
        image[box][lumen] = np.where(gas, -850, rng.uniform(5, 40))[lumen]


def paint_values(image: np.ndarray, painter: Painter, rng: np.random.Generator) -> None:
    """The organs' Hounsfield units, with the patient's own enhancement, vessels in the liver, and what is hollow."""
    enhancement = rng.uniform(0.85, 1.15)
    for number, name in enumerate(ORGANS, start=1):
        own = painter.labels == number
        image[own] = HU[name] * enhancement + rng.normal(0, 4)
    texture = gaussian_filter(rng.standard_normal(image.shape).astype(np.float32), 1.5)
    texture /= texture.std()
    solid = painter.labels > 0
    image[solid] += 4 * texture[solid]
    liver = painter.labels == label_of("liver")
    image[liver & (texture > 2.1)] += 45
    hollow = painter.content & (painter.labels == label_of("stomach"))
    level = np.quantile(painter.canvas.places[1][hollow], rng.uniform(0.3, 0.9)) if hollow.any() else 0
    gas = painter.canvas.places[1] > level
    image[hollow] = np.where(gas, -880, rng.choice([15.0, 40.0, 180.0]))[hollow]
    image[painter.sinus] = -60


def paint_table(canvas: Canvas, image: np.ndarray) -> None:
    """The table that the patient lies on; nothing bends it."""
    y = canvas.low[1] + canvas.spacing[1] * np.arange(canvas.shape[1])
    x = canvas.low[0] + canvas.spacing[0] * np.arange(canvas.shape[0])
    top = -146 + (x[:, None] / 60) ** 2
    shell = np.abs(y[None] - top) < max(2.0, canvas.spacing[1] / 2)
    image[shell] = np.maximum(image[shell], -120)


def scan(image: np.ndarray, spacing: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """The scanner's blur of about a millimetre, and noise that is correlated in the plane."""
    image = gaussian_filter(image, [1.0 / step for step in spacing])
    in_plane = [1.2 / spacing[0], 1.2 / spacing[1], 0]
    noise = gaussian_filter(rng.standard_normal(image.shape).astype(np.float32), in_plane)
    image = image + noise / noise.std() * rng.uniform(9, 20)
    return np.clip(image, -1024, 3071).round().astype(np.int16)
