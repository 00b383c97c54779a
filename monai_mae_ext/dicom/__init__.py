"""DICOM at both ends: from a folder of files to series and volumes, and from a bundle's results to DICOM objects.

The modules that write (``study`` and what it imports) need highdicom, so they are not imported here.
"""

from monai_mae_ext.dicom.series import PassedOver, Series, Survey, find_series, survey_folder
from monai_mae_ext.dicom.volume import Volume, read_series, save_nifti

__all__ = [
    "PassedOver",
    "Series",
    "Survey",
    "Volume",
    "find_series",
    "read_series",
    "save_nifti",
    "survey_folder",
]
