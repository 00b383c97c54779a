"""Transforms: masking, random crops and superpatches, and predictions turned into pictures."""

from monai_mae_ext.transforms.crop import RandResizedCrop, RandResizedCropd
from monai_mae_ext.transforms.display import (
    BORROWED,
    Displayd,
    TrivialPredictorsd,
    displayable,
    fill_linear,
    fill_mean,
)
from monai_mae_ext.transforms.masking import (
    PredictAll,
    RandomMasking,
    RandomMaskingd,
    TokenMasking,
    TokenMaskingd,
    mask_image,
)
from monai_mae_ext.transforms.region_masking import RegionMasking
from monai_mae_ext.transforms.superpatch import PadToSuperpatchd, RandSuperpatchd
from monai_mae_ext.transforms.superpatch_display import SuperpatchDisplayd, block_mean
from monai_mae_ext.transforms.superpatch_masking import (
    BlockMasking,
    PlaneAxisMasking,
    PlaneOrAxisMasking,
    RunningCell,
)
from monai_mae_ext.transforms.thorax import ThoraxRegion, ThoraxRegiond

__all__ = [
    "BORROWED",
    "BlockMasking",
    "Displayd",
    "PadToSuperpatchd",
    "PlaneAxisMasking",
    "PlaneOrAxisMasking",
    "PredictAll",
    "RandResizedCrop",
    "RandResizedCropd",
    "RandSuperpatchd",
    "RandomMasking",
    "RandomMaskingd",
    "RegionMasking",
    "RunningCell",
    "SuperpatchDisplayd",
    "ThoraxRegion",
    "ThoraxRegiond",
    "TokenMasking",
    "TokenMaskingd",
    "TrivialPredictorsd",
    "block_mean",
    "displayable",
    "fill_linear",
    "fill_mean",
    "mask_image",
]
