"""Procedural images with known anatomy and findings, in the layouts of public data sets."""

from monai_mae_ext.phantoms.abdomen_anatomy import ORGANS
from monai_mae_ext.phantoms.abdomen_dicom import write_abdomen_studies
from monai_mae_ext.phantoms.abdomen_phantom import AbdomenPhantom, abdomen_phantom
from monai_mae_ext.phantoms.abdomen_phantom_dataset import write_abdomen_phantoms
from monai_mae_ext.phantoms.brain_phantom import MODALITIES, BrainPhantom, brain_phantom
from monai_mae_ext.phantoms.brain_phantom_dataset import write_brain_phantoms
from monai_mae_ext.phantoms.chest_phantom import ChestPhantom, chest_phantom
from monai_mae_ext.phantoms.chest_phantom_dataset import write_chest_phantoms

__all__ = [
    "MODALITIES",
    "ORGANS",
    "AbdomenPhantom",
    "BrainPhantom",
    "ChestPhantom",
    "abdomen_phantom",
    "brain_phantom",
    "chest_phantom",
    "write_abdomen_phantoms",
    "write_abdomen_studies",
    "write_brain_phantoms",
    "write_chest_phantoms",
]
