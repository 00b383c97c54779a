"""Implicit shapes in millimetres, painted into a volume box by box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import zoom
from scipy.spatial.transform import Rotation

from monai_mae_ext.errors import UserError

__all__ = ["Canvas", "check_patient"]

REACH_MM = 14.0
"""The warp moves nothing further than this, so that shapes need be looked for only near where they were drawn."""


def check_patient(seed: int, spacing: Sequence[float]) -> None:
    """Raise a ``UserError`` unless ``seed`` is at least 0 and each ``spacing`` from 0.5 to 10 mm."""
    if seed < 0 or not all(0.5 <= step <= 10 for step in spacing):
        raise UserError(f"seed is at least 0 and spacing from 0.5 to 10 mm, got {seed} and {tuple(spacing)}")


class Canvas:
    """A grid of voxels, bent by a smooth random warp; shapes are drawn in the unbent space.

    Args:
        low, high: corners of the field of view in millimetres, RAS.
        spacing: of the voxels in millimetres.
        rng: draws the warp.
        warp_mm: standard deviation of the warp.
    """

    def __init__(
        self,
        low: Sequence[float],
        high: Sequence[float],
        spacing: Sequence[float],
        rng: np.random.Generator,
        warp_mm: float = 4.0,
    ) -> None:
        self.low, self.spacing = np.asarray(low, float), np.asarray(spacing, float)
        self.shape = tuple(np.round((np.asarray(high) - low) / self.spacing).astype(int))
        axes = [start + step * np.arange(side) for start, step, side in zip(low, spacing, self.shape, strict=True)]
        knots = np.clip(rng.normal(0, warp_mm, (3, 5, 5, 5)), -REACH_MM, REACH_MM)
        factors = [side / 5 for side in self.shape]
        smooth = np.stack([zoom(knot, factors, order=2, grid_mode=True, mode="nearest") for knot in knots])
        places = np.stack(np.meshgrid(*axes, indexing="ij")) + np.clip(smooth, -REACH_MM, REACH_MM)
        self.places = places.astype(np.float32)

    @property
    def affine(self) -> np.ndarray:
        """From voxels to millimetres, ``(4, 4)``."""
        affine = np.diag([*self.spacing, 1.0])
        affine[:3, 3] = self.low
        return affine

    def box(self, low: np.ndarray, high: np.ndarray) -> tuple[slice, ...]:
        """Voxels that the warp may bring between two corners."""
        first = np.floor((low - REACH_MM - self.low) / self.spacing).astype(int)
        last = np.ceil((high + REACH_MM - self.low) / self.spacing).astype(int) + 1
        return tuple(slice(max(0, a), max(0, b)) for a, b in zip(first, last, strict=True))

    def ellipsoid(
        self, centre: ArrayLike, radii: ArrayLike, angles: ArrayLike = (0, 0, 0)
    ) -> tuple[tuple[slice, ...], np.ndarray]:
        """A box, and in it the distance from the centre in units of the radii: inside where it is below 1.

        ``angles`` turn the ellipsoid about x, y and z, in degrees.
        """
        middle, reach = np.asarray(centre, float), np.max(radii)
        box = self.box(middle - reach, middle + reach)
        offset = self.places[(slice(None), *box)] - middle[:, None, None, None].astype(np.float32)
        turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix().T / np.asarray(radii)[:, None]
        return box, np.sqrt(np.square(np.tensordot(turn.astype(np.float32), offset, 1)).sum(0))

    def tube(self, points: ArrayLike, radii: ArrayLike) -> tuple[tuple[slice, ...], np.ndarray]:
        """A box, and in it the distance from a polyline in units of its radius, which varies from point to point."""
        path = np.asarray(points, np.float32)
        widths = np.broadcast_to(np.asarray(radii, np.float32), len(path))
        box = self.box(path.min(0) - widths.max(), path.max(0) + widths.max())
        places = self.places[(slice(None), *box)]
        nearest = np.full(places.shape[1:], np.inf, np.float32)
        for start, end, first, last in zip(path[:-1], path[1:], widths[:-1], widths[1:], strict=True):
            along = end - start
            offset = places - start[:, None, None, None]
            share = np.clip(np.tensordot(along, offset, 1) / along.dot(along), 0, 1)
            distance = np.sqrt(np.square(offset - share * along[:, None, None, None]).sum(0))
            np.minimum(nearest, distance / (first + share * (last - first)), out=nearest)
        return box, nearest
