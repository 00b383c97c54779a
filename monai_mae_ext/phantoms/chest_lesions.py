"""What a reader would say of a finding on a phantom film: which side, how high up, how much of the lung."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monai_mae_ext.phantoms.chest_anatomy import Chest

__all__ = ["Lesion", "describe_lesion"]

ZONES = {"upper": 0.0, "middle": 0.4, "lower": 0.65}
"""Level at which each zone begins."""
SIZES = {"Effusion": (0.2, 0.3), "Pneumothorax": (0.25, 0.32)}
"""Shares of the lung on its side at which a finding stops being small, and begins to be large."""


@dataclass(frozen=True)
class Lesion:
    """One finding on a film, where that can be told; None where it says nothing.

    Attributes:
        finding: NIH's name.
        side: "right" or "left", the patient's.
        zone: "upper", "middle" or "lower".
        size: "small", "moderate" or "large".
    """

    finding: str
    side: str | None = None
    zone: str | None = None
    size: str | None = None


def describe_lesion(finding: str, chest: Chest, side: int, extent: np.ndarray | float) -> Lesion:
    """Describe ``finding`` by its ``extent``, (H, W) from 0 to 1, on ``side`` (-1 right, 1 left); a number: by name."""
    if not isinstance(extent, np.ndarray):
        return Lesion(finding)
    lung = chest.lungs & (side * chest.x > 0)
    weight = np.clip(extent, 0, 1) * lung
    share = float(weight.sum() / lung.sum())
    level = float((weight * chest.level).sum() / max(weight.sum(), 1e-9))
    zone = next(name for name, start in reversed(ZONES.items()) if max(level, 0) >= start)
    size = None
    if finding in SIZES:
        moderate, large = SIZES[finding]
        size = "small" if share < moderate else "moderate" if share < large else "large"
    return Lesion(finding, "right" if side < 0 else "left", zone, size)
