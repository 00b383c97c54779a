"""A brain as shares of tissues: what its parts and its tumours are painted into."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from monai_mae_ext.phantoms.shapes import Canvas

__all__ = ["HIGH", "LOW", "TISSUES", "Brain", "cloud", "edge"]

LOW, HIGH = (-84.0, -104.0, -84.0), (84.0, 104.0, 88.0)
TISSUES = ("csf", "grey", "white", "nuclei", "vessel", "oedema", "necrosis", "solid tumour", "enhancing")


class Brain:
    """Shares of the tissues, painted one over another.

    ``shares`` is ``(len(TISSUES), X, Y, Z)``, at first all cerebrospinal fluid; ``mask`` is what skull-stripping keeps,
    ``ventricles`` the share of a voxel that lies in one.

    Args:
        canvas: where to paint.
        rng: draws the small changes that make a patient.
    """

    def __init__(self, canvas: Canvas, rng: np.random.Generator) -> None:
        self.canvas, self.rng = canvas, rng
        canvas.places /= rng.uniform(0.95, 1.04, (3, 1, 1, 1)).astype(np.float32)
        self.shares = np.zeros((len(TISSUES), *canvas.shape), np.float32)
        self.shares[TISSUES.index("csf")] = 1
        self.mask = np.zeros(canvas.shape, bool)
        self.ventricles = np.zeros(canvas.shape, np.float32)
        self.softness = max(1.0, float(np.mean(canvas.spacing)))

    def share(self, tissue: str) -> np.ndarray:
        """A view of one tissue's shares."""
        return self.shares[TISSUES.index(tissue)]

    def edge(self, depth_mm: np.ndarray) -> np.ndarray:
        """Share of a voxel that lies inside a surface, from its depth below that."""
        return edge(depth_mm, self.softness)

    def paint(self, tissue: str, share: np.ndarray, box: tuple[slice, ...] = ()) -> None:
        """Let a tissue take its share of voxels, and the others keep the rest."""
        self.shares[(slice(None), *box)] *= 1 - share
        self.share(tissue)[box] += share

    def ellipsoid(
        self, tissue: str, centre: Sequence[float], radii: Sequence[float], angles: Sequence[float] = (0, 0, 0)
    ) -> None:
        """Paint an ellipsoid with small changes of place and size of its own."""
        sizes = np.asarray(radii) * self.rng.uniform(0.92, 1.08, 3)
        box, distance = self.canvas.ellipsoid(self.about(centre), sizes, angles)
        self.paint(tissue, self.edge((1 - distance) * sizes.min()), box)

    def tube(
        self, tissue: str, points: Sequence[Sequence[float]], radii: ArrayLike
    ) -> tuple[tuple[slice, ...], np.ndarray]:
        """Paint a tube; returns its box and its shares there."""
        box, distance = self.canvas.tube(np.stack([self.about(point) for point in points]), radii)
        share = self.edge((1 - distance) * float(np.asarray(radii).mean()))
        self.paint(tissue, share, box)
        return box, share

    def about(self, place: Sequence[float]) -> np.ndarray:
        """The place, moved by up to a millimetre along each axis."""
        return np.asarray(place, float) + self.rng.uniform(-1, 1, 3)


def edge(depth_mm: np.ndarray, softness_mm: float) -> np.ndarray:
    """From 0 outside to 1 inside, linearly over ``softness_mm`` about the surface."""
    return np.clip(0.5 + depth_mm / softness_mm, 0, 1).astype(np.float32)


def cloud(canvas: Canvas, rng: np.random.Generator, size_mm: float) -> np.ndarray:
    """Smooth noise of mean 0 and variance 1, the same at every spacing.

    Args:
        canvas: where.
        rng: draws the noise on a lattice of its own.
        size_mm: standard deviation of the bell that smooths it.
    """
    weights = []
    for low, high, step, side in zip(LOW, HIGH, canvas.spacing, canvas.shape, strict=True):
        knots = np.arange(low - 3 * size_mm, high + 3 * size_mm, size_mm)
        bells = np.exp(-0.5 * ((low + step * np.arange(side)[:, None] - knots) / size_mm) ** 2)
        weights.append((bells / np.linalg.norm(bells, axis=1, keepdims=True)).astype(np.float32))
    noise = rng.standard_normal([matrix.shape[1] for matrix in weights]).astype(np.float32)
    for matrix in weights:  # each turn takes the first axis and puts the result last
        noise = np.tensordot(noise, matrix, (0, 1))
    return noise
