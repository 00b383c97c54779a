"""An MRI of a brain that never was, in four sequences: a glioma with exact labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from monai_mae_ext.phantoms.brain_anatomy import paint_brain
from monai_mae_ext.phantoms.brain_tissues import HIGH, LOW, TISSUES, Brain, cloud
from monai_mae_ext.phantoms.brain_tumour import label_of_tumour, paint_tumours
from monai_mae_ext.phantoms.shapes import Canvas, check_patient

__all__ = ["MODALITIES", "BrainPhantom", "brain_phantom"]

MODALITIES = ("FLAIR", "T1w", "T1gd", "T2w")
"""The channels, in the order of the Medical Segmentation Decathlon's Task01."""
SIGNALS = {
    "csf": (0.16, 0.30, 0.30, 1.00),
    "grey": (0.62, 0.72, 0.74, 0.58),
    "white": (0.50, 1.00, 1.00, 0.42),
    "nuclei": (0.58, 0.83, 0.84, 0.50),
    "vessel": (0.20, 0.55, 1.25, 0.30),
    "oedema": (1.05, 0.80, 0.80, 0.84),
    "necrosis": (0.60, 0.45, 0.45, 0.98),
    "solid tumour": (0.86, 0.64, 0.65, 0.74),
    "enhancing": (0.97, 0.76, 1.60, 0.82),
}
"""Of each tissue in each sequence; white matter in T1w is 1. Only T1gd tells the enhancing shell from oedema."""
GAINS = (100.0, 1500.0)
BIAS = 0.15


class BrainPhantom(NamedTuple):
    """A patient's head without its skull, in RAS.

    ``image`` is ``(4, X, Y, Z)`` float32 of whole numbers, in the order of ``MODALITIES`` and 0 outside the brain;
    ``label`` is ``(X, Y, Z)`` uint8: 1 oedema, 2 non-enhancing tumour or necrosis, 3 enhancing tumour; ``affine`` leads
    to mm.
    """

    image: np.ndarray
    label: np.ndarray
    affine: np.ndarray


def brain_phantom(seed: int, spacing: Sequence[float] = (2.0, 2.0, 2.0)) -> BrainPhantom:
    """Draw a patient with a glioma and scan him in four sequences.

    The same seed gives the same brain, tumour and scanner at every spacing, and the same bytes at the same one. Noise
    is drawn anew for each spacing.

    Args:
        seed: which patient, at least 0.
        spacing: of the voxels in millimetres, each from 0.5 to 10.

    Raises:
        UserError: for arguments out of range.
    """
    check_patient(seed, spacing)
    rng, scanner, noise = np.random.default_rng([seed, 17]).spawn(3)
    brain = Brain(Canvas(LOW, HIGH, spacing, rng, warp_mm=2.5), rng)
    paint_brain(brain)
    paint_tumours(brain)
    channels = [scan(brain, signal, scanner, noise) for signal in np.transpose(list(SIGNALS.values()))]
    return BrainPhantom(np.stack(channels), label_of_tumour(brain), brain.canvas.affine)


def scan(brain: Brain, signal: np.ndarray, scanner: np.random.Generator, noise: np.random.Generator) -> np.ndarray:
    """One sequence: its contrast, texture, the coil's bias, a blur of about a millimetre, Rician noise and gain."""
    canvas = brain.canvas
    values = dict(zip(SIGNALS, signal * scanner.uniform(0.96, 1.04, len(signal)), strict=True))
    image = np.tensordot(np.array([values[tissue] for tissue in TISSUES], np.float32), brain.shares, 1)
    image *= 1 + 0.03 * cloud(canvas, scanner, 2.5)
    image *= 1 + BIAS * np.tanh(cloud(canvas, scanner, 55))
    gain = np.exp(scanner.uniform(*np.log(GAINS)))
    strength = scanner.uniform(0.015, 0.04)
    image = gaussian_filter(image, [0.8 / step for step in canvas.spacing])
    real, imaginary = noise.standard_normal((2, *canvas.shape), np.float32) * np.float32(strength)
    return np.where(brain.mask, np.maximum(np.round(gain * np.hypot(image + real, imaginary)), 1), 0).astype(np.float32)
