"""The film's own part in a radiograph: blur, scatter, exposure, noise, the side marker and the collimated border."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from monai_mae_ext.phantoms.chest_anatomy import step

__all__ = ["expose"]

_LETTER_L = np.array([[1, 0, 0]] * 4 + [[1, 1, 1]], np.float32)


def expose(water: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn path lengths of water, (H, W) in units of half the film side, into grey, [0, 1] with bone bright."""
    size = water.shape[0]
    water = ndimage.gaussian_filter(np.clip(water, 0, None), rng.uniform(0.0008, 0.0013) * size)
    scatter = rng.uniform(0.007, 0.014)
    water = -np.log(np.exp(-4 * water) + scatter) / 4  # scattered rays veil what is thick
    water += np.log(1 + scatter) / 4
    image = step(water - rng.uniform(0.52, 0.69), rng.uniform(0.14, 0.21))
    image = (image - 0.015) * rng.uniform(0.98, 1.08)
    across = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    u, v = across[None, :], across[:, None]
    image *= 1 + rng.uniform(-0.05, 0.05) * u + rng.uniform(-0.05, 0.05) * v  # the tube's heel effect
    image = np.maximum(image, _marker(u, v, rng))
    open_field = _collimator(u, v, rng)
    # the noise comes last: it alone draws a number a pixel, and what is drawn after it would depend on the size
    noise = ndimage.gaussian_filter(rng.standard_normal(image.shape, dtype=np.float32), 0.6)
    image = (image + (0.004 + 0.012 * image) * noise) * open_field
    return np.clip(image, 0, 1).astype(np.float32)


def _marker(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The letter L of lead, stuck on the patient's left, a little askew."""
    angle, height = rng.normal(0, 0.12), rng.uniform(0.07, 0.1)
    u, v = u - rng.uniform(0.75, 0.92), v - rng.uniform(-0.92, -0.6)
    down, right = math.cos(angle) * v - math.sin(angle) * u, math.cos(angle) * u + math.sin(angle) * v
    rows, columns = _LETTER_L.shape
    where = [down * rows / height + rows / 2 - 0.5, right * rows / height + columns / 2 - 0.5]
    return rng.uniform(0.75, 0.97) * ndimage.map_coordinates(_LETTER_L, np.stack(where), order=1)


def _collimator(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """0 where the collimator's leaves covered the film, on up to four sides, else 1."""
    angle = rng.normal(0, 0.012)
    open_to = np.where(rng.random(4) < 0.2, rng.uniform(0.88, 0.99, 4), 2.0).tolist()
    sides = (u + angle * v, v - angle * u, -u - angle * v, angle * u - v)
    edge = np.stack([limit - side for side, limit in zip(sides, open_to, strict=True)]).min(axis=0)
    return step(edge, 0.003)
