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
from monai_mae_ext.transforms.modalities import (
    ArrangeModalitiesd,
    CheckGridsd,
    NonzeroMaskd,
    RandDropModalitiesd,
)
from monai_mae_ext.transforms.region_masking import RegionMasking
from monai_mae_ext.transforms.regions import LabelsToRegionsd, class_regions, tumor_label_names, tumor_regions
from monai_mae_ext.transforms.report import TokenizeReportd
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
    "ArrangeModalitiesd",
    "BORROWED",
    "BlockMasking",
    "CheckGridsd",
    "Displayd",
    "LabelsToRegionsd",
    "NonzeroMaskd",
    "PadToSuperpatchd",
    "PlaneAxisMasking",
    "PlaneOrAxisMasking",
    "PredictAll",
    "RandDropModalitiesd",
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
    "TokenizeReportd",
    "TrivialPredictorsd",
    "block_mean",
    "class_regions",
    "displayable",
    "fill_linear",
    "fill_mean",
    "mask_image",
    "tumor_label_names",
    "tumor_regions",
]
