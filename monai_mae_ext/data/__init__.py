"""Data: reading radiographs, lists of radiographs and volumes, audit, caches that tolerate bad files, shared epochs."""

from monai_mae_ext.data.audit import audit
from monai_mae_ext.data.chestxray14 import CHESTXRAY14_LABELS
from monai_mae_ext.data.epoch_order import EpochSampler, local_batch_size
from monai_mae_ext.data.mri_datalist import mri_datalist
from monai_mae_ext.data.prefetch import PrefetchDataLoader
from monai_mae_ext.data.radiograph import RadiographError, RadiographReader, read_radiograph
from monai_mae_ext.data.radiograph_datalist import labelled_radiographs, radiograph_datalist
from monai_mae_ext.data.report_datalist import report_datalist, study_datalist
from monai_mae_ext.data.skipping import SkippingDataset
from monai_mae_ext.data.tolerant import TolerantCacheDataset
from monai_mae_ext.data.volume_datalist import volume_datalist

__all__ = [
    "CHESTXRAY14_LABELS",
    "EpochSampler",
    "PrefetchDataLoader",
    "RadiographError",
    "RadiographReader",
    "SkippingDataset",
    "TolerantCacheDataset",
    "audit",
    "labelled_radiographs",
    "local_batch_size",
    "mri_datalist",
    "radiograph_datalist",
    "read_radiograph",
    "report_datalist",
    "study_datalist",
    "volume_datalist",
]
