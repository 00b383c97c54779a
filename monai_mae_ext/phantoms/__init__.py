"""Procedural images with known anatomy and findings, in the layouts of public data sets."""

from monai_mae_ext.phantoms.chest_phantom import ChestPhantom, chest_phantom
from monai_mae_ext.phantoms.chest_phantom_dataset import write_chest_phantoms

__all__ = ["ChestPhantom", "chest_phantom", "write_chest_phantoms"]
