"""Where the parts of a brain lie, in millimetres: x to the right, y to the front, z to the head.

The origin is in the midline, a little above the hypothalamus. Sizes and places are of an average adult; each patient
draws his own around them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monai_mae_ext.phantoms.brain_tissues import Brain, cloud
from monai_mae_ext.phantoms.shapes import Canvas

__all__ = ["cerebrum_depth", "paint_brain"]

RIBBON_MM = 3.2
"""Thickness of the cortex."""


def ellipsoid_depth(places: np.ndarray, centre: Sequence[float], radii: Sequence[float | np.ndarray]) -> np.ndarray:
    """Millimetres below an ellipsoid's surface, right near that and roughly elsewhere."""
    offsets = [(axis - middle) / radius for axis, middle, radius in zip(places, centre, radii, strict=True)]
    radius = np.sqrt(sum(np.square(offset) for offset in offsets))
    slope = np.sqrt(sum(np.square(offset / length) for offset, length in zip(offsets, radii, strict=True)))
    return (1 - radius) * (radius + 1e-3) / (slope + 1e-3 / 60)


def cerebrum_outline(places: np.ndarray) -> np.ndarray:
    """Depth below the cerebrum's outer surface: a dome with a flat base, and the temporal lobes."""
    x, y, z = places
    dome = ellipsoid_depth(places, (0, 0, 12), (63 - 0.07 * y, 81.0, 55.0))
    dome = np.minimum(dome, z + 19 - 0.08 * y)
    temporal = ellipsoid_depth(np.stack([np.abs(x), y, z]), (41, 6, -19), (22, 42, 23))
    return np.maximum(dome, temporal)


def cerebrum_depth(places: np.ndarray) -> np.ndarray:
    """Depth below the nearest surface of a hemisphere, the one in the longitudinal fissure included."""
    x, y, z = places
    joined = np.clip(1 - np.hypot((y + 5) / 44, (z - 2) / 27), 0, None)  # by the corpus callosum and what is below it
    return np.minimum(cerebrum_outline(places), np.abs(x) - 0.3 + 60 * joined)


def paint_brain(brain: Brain) -> None:
    """Cerebrum, cerebellum and stem; then what lies within."""
    places = brain.canvas.places
    cerebellum = np.maximum(
        ellipsoid_depth(np.stack([np.abs(places[0]), *places[1:]]), (22, -46, -34), (29, 30, 21)),
        ellipsoid_depth(places, (0, -48, -31), (14, 27, 21)),
    )
    stem = np.maximum(
        ellipsoid_depth(places, (0, -14, -32), (17, 14, 17)), rod_depth(places, [(0, -12, -6), (0, -28, -62)], 10.5)
    )
    hull = np.logaddexp.reduce([depth / 4 for depth in (cerebrum_outline(places), cerebellum, stem)]) * 4
    brain.mask[:] = hull > -1
    paint_cerebrum(brain)
    folia = np.abs(np.sin((places[2] + 0.35 * places[1] + 0.8 * np.hypot(places[0] / 4, 4)) * (2 * np.pi / 8)))
    brain.paint("grey", brain.edge(cerebellum - 1))
    brain.paint("csf", brain.edge(cerebellum - 1) * brain.edge(7 - cerebellum) * brain.edge(0.35 - 1.3 * folia))
    brain.paint("white", brain.edge(cerebellum - 9 + 4 * (1 - folia)))
    brain.paint("white", brain.edge(stem - 1))
    paint_nuclei(brain)
    paint_ventricles(brain)


def rod_depth(places: np.ndarray, course: Sequence[Sequence[float]], radius: float) -> np.ndarray:
    """Depth in a round rod, straight across from its middle line."""
    start, end = np.asarray(course, np.float32)
    share = np.clip((places[2] - start[2]) / (end[2] - start[2]), 0, 1)
    centre = start + share[..., None] * (end - start)
    return radius - np.sqrt(np.square(np.moveaxis(places, 0, -1) - centre).sum(-1))


def paint_cerebrum(brain: Brain) -> None:
    """White matter, and the cortex that lines surface and sulci; vessels run in some of the sulci."""
    rng, canvas = brain.rng, brain.canvas
    depth = cerebrum_depth(canvas.places)
    ripple, length = gyri(canvas, rng)
    bottom = 15 + 4 * cloud(canvas, rng, 12)
    fold = np.hypot(np.abs(ripple) * length / (2 * np.pi), np.clip(depth - bottom, 0, None))
    cortex = np.minimum(depth - rng.uniform(0.8, 1.8), fold - rng.uniform(0.4, 1.0))
    within = brain.edge(depth)
    brain.paint("grey", brain.edge(cortex) * within)
    brain.paint("white", brain.edge(cortex - RIBBON_MM) * within)
    veins = brain.share("csf") * (cloud(canvas, rng, 5) > 1.5)
    brain.paint("vessel", 0.8 * veins * brain.edge(depth + 2) * brain.mask)


def gyri(canvas: Canvas, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """A wavy field of variance 1 that is 0 in the sulci's midst, and its wave length.

    It hardly changes along the way from a hemisphere's middle to its surface: sulci go straight in.
    """
    length = float(rng.uniform(19, 23))
    x, y, z = canvas.places
    side = np.where(x > 0, 1, -1).astype(np.float32)
    axis = np.stack([28 * side, np.clip(0.8 * y, -58, 50), 12 + np.clip(0.6 * (z - 12), -20, 20)])
    ray = canvas.places - axis
    spot = axis + ray * (34 / (np.sqrt(np.square(ray).sum(0)) + 2))
    spot += np.stack([2.5 * cloud(canvas, rng, 10) for _ in range(3)])
    field = np.zeros(canvas.shape, np.float32)
    for _ in range(10):
        direction = rng.normal(size=3)
        wave = direction / np.linalg.norm(direction) * 2 * np.pi / (length * rng.uniform(0.8, 1.25))
        phase = rng.uniform(0, 2 * np.pi) + 0.7 * side
        field += np.sin(np.tensordot(wave.astype(np.float32), spot, 1) + phase.astype(np.float32))
    return field / np.sqrt(5), length


def paint_nuclei(brain: Brain) -> None:
    """Insula with the Sylvian fissure and its artery, lentiform nucleus, head of the caudate, thalamus."""
    for side in (1, -1):
        brain.ellipsoid("grey", (side * 50, 0, 0), (17, 29, 5), (-14, 0, 0))
        brain.ellipsoid("csf", (side * 52, 0, 0), (18, 27, 2), (-14, 0, 0))
        brain.tube("vessel", [(side * 4, 8, -14), (side * 34, 6, -4), (side * 46, -8, 2)], 1.4)
        brain.ellipsoid("nuclei", (side * 25, 3, 3), (5.5, 17, 10), (0, 0, side * 14))
        brain.ellipsoid("nuclei", (side * 13, 20, 9), (5.5, 10, 9))
        brain.ellipsoid("nuclei", (side * 11, -11, 6), (9, 14, 9), (0, 0, side * 20))
    brain.tube("vessel", [(0, 12, -14), (0, 46, 0), (0, 42, 22), (0, 10, 34), (0, -30, 34)], 1.3)


def paint_ventricles(brain: Brain) -> None:
    """Lateral ventricles with their horns, the third and the fourth."""
    wide = brain.rng.uniform(0.75, 1.35)
    courses = []
    for side in (1, -1):
        body = [(9, 33, 6), (8, 14, 15), (10, -10, 19), (17, -30, 16), (25, -38, 8)]
        courses.append((body, np.array((3.5, 5.5, 5, 5.5, 6.5)), side))
        courses.append(([(25, -38, 8), (24, -62, 6)], np.array((6, 2.5)), side))
        courses.append(([(25, -38, 8), (34, -24, -10), (35, -2, -19)], np.array((5, 2.5, 2)), side))
    courses.append(([(0, 8, -6), (0, -2, 2), (0, -20, 2)], np.array((1.8, 2.4, 1.8)), 1))
    courses.append(([(0, -30, -8), (0, -33, -26), (0, -36, -40)], np.array((1.2, 4, 2)), 1))
    for points, radii, side in courses:
        box, share = brain.tube("csf", [(side * x, y, z) for x, y, z in points], wide * radii)
        np.maximum(brain.ventricles[box], share, out=brain.ventricles[box])
