"""Gliomas: where they grow, and what they are made of."""

from __future__ import annotations

import numpy as np

from monai_mae_ext.phantoms.brain_anatomy import cerebrum_depth
from monai_mae_ext.phantoms.brain_tissues import Brain, cloud

__all__ = ["LABELS", "label_of_tumour", "paint_tumours"]

LABELS = ("background", "edema", "non-enhancing tumor", "enhancing tumour")
"""In the order of the Medical Segmentation Decathlon's Task01."""
TRIES = 2000
REACH = 1.9
"""No part of a lesion is further from its centre than this, in units of its radii."""


def paint_tumours(brain: Brain) -> None:
    """One lesion; in every fifth patient a second, small one. Every sixth patient's do not enhance."""
    rng = brain.rng
    enhancing, several = rng.random() > 1 / 6, rng.random() < 0.2
    radius = 8 + 20 * rng.beta(2, 1.2)
    first = choose_place(rng, radius)
    paint_lesion(brain, first, radius, enhancing)
    if several:
        paint_lesion(brain, choose_place(rng, 8, away_from=first), rng.uniform(7, 9), enhancing)


def choose_place(rng: np.random.Generator, radius: float, away_from: np.ndarray | None = None) -> np.ndarray:
    """A place in the white matter of the cerebrum, deep enough for the radius, off nuclei and ventricles if it can be.

    ``away_from`` is the place of another lesion.
    """
    places = rng.uniform((-60, -75, -30), (60, 72, 62), (TRIES, 3))
    depth = cerebrum_depth(places.T)
    x, y, z = np.abs(places[:, 0]), places[:, 1], places[:, 2]
    deep = ((x - 12) / 26) ** 2 + ((y + 4) / 42) ** 2 + ((z - 6) / 20) ** 2 < 1
    midline = np.clip(0.4 * radius + 6 - x, 0, None)
    need = 0.45 * radius + 5
    score = np.minimum(depth, need) - 20 * deep - 2 * midline
    if away_from is not None:
        score -= np.clip(45 - np.linalg.norm(places - away_from, axis=1), 0, None)
    return places[score.argmax()]


def paint_lesion(brain: Brain, centre: np.ndarray, radius: float, enhancing: bool) -> None:
    """Oedema along the white matter, then the solid part: necrosis in an enhancing shell, or all of it unenhanced.

    Args:
        brain: gets the lesion.
        centre, radius: of the whole lesion, in millimetres.
        enhancing: whether it has a shell that takes up contrast agent.
    """
    rng, canvas = brain.rng, brain.canvas
    radii, angles = radius * rng.uniform(0.8, 1.2, 3), rng.uniform(-40, 40, 3)
    share = max(rng.uniform(0.42, 0.7), 4.5 / radius)
    rim = min(rng.uniform(2, 6), 0.45 * share * radius)
    lumps, fingers, patches = (cloud(canvas, rng, size) for size in (0.35 * radius, 5.0, 3.5))
    whole = np.full(canvas.shape, np.inf, np.float32)
    box, distance = canvas.ellipsoid(centre, REACH * radii, angles)
    whole[box] = REACH * distance
    inside = brain.edge(cerebrum_depth(canvas.places) - 1.5) * (1 - brain.ventricles) * brain.mask
    spread = inside * brain.edge((1 - whole) * radius + radius * np.clip(0.14 * lumps + 0.16 * fingers, -0.45, 0.45))
    white = brain.share("white")
    brain.share("oedema")[:] += spread * white
    white *= 1 - spread
    lumpy = np.clip(0.2 * lumps + 0.1 * fingers, -0.45, 0.45) * np.minimum(whole, share)  # and round in the middle
    depth = (share - whole + lumpy) * radius
    solid = inside * brain.edge(depth)
    if not enhancing:
        brain.paint("solid tumour", solid)
        return
    brain.paint("enhancing", solid)
    brain.paint("necrosis", solid * brain.edge(depth - rim * np.clip(1 + 0.3 * patches, 0.4, 1.6)))


def label_of_tumour(brain: Brain) -> np.ndarray:
    """The Decathlon's label of each voxel of which a tumour has the most, uint8."""
    core = brain.share("necrosis") + brain.share("solid tumour")
    parts = np.stack([brain.share("oedema"), core, brain.share("enhancing")])
    label = np.where(parts.sum(0) > 0.5, 1 + parts.argmax(0), 0)
    return (label * brain.mask).astype(np.uint8)
