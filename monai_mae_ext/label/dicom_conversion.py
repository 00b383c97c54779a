"""Images and labels of a DICOMweb server to NIfTI and back, in the place of MONAI Label's converters.

MONAI Label 0.8.5 reads series without checking them, codes every segment as a spleen, shifts names when a label is
missing, and reads labels through pydicom-seg, which cannot be imported beside pydicom 3.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import highdicom
import monailabel.datastore.dicom
import monailabel.endpoints.infer
import nibabel as nib
import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms import LoadImage, ResampleToMatch
from pydicom import Dataset

from monai_mae_ext.dicom import Volume, find_series, read_series, save_nifti
from monai_mae_ext.dicom.algorithm import Algorithm
from monai_mae_ext.dicom.segmentation import save_segmentation
from monai_mae_ext.errors import UserError

__all__ = ["convert_dicom_ourselves"]

FACTS = ("SeriesInstanceUID", "StudyInstanceUID", "Modality")


def convert_dicom_ourselves() -> None:
    """Put the converters below where MONAI Label calls its own."""
    for module in (monailabel.datastore.dicom, monailabel.endpoints.infer):
        module.nifti_to_dicom_seg = labels_to_segmentation
    monailabel.datastore.dicom.dicom_to_nifti = dicom_to_nifti
    monailabel.datastore.dicom.DICOMWebDatastore._dicom_info = series_facts


def dicom_to_nifti(series_dir: str, is_seg: bool = False) -> str:
    """A temporary NIfTI file of a downloaded series, or of the labels in a DICOM segmentation.

    Raises:
        UserError: for a series that is no volume.
    """
    target = temporary_name(".nii.gz")
    if is_seg:
        save_labels(Path(series_dir), target)
    else:
        save_nifti(read_only_series(series_dir), target)
    return target


def series_facts(datastore: monailabel.datastore.dicom.DICOMWebDatastore, series_uid: str) -> dict[str, str]:
    """What is noted, and logged, of a series: not the patient's number, which MONAI Label adds."""
    (found,) = datastore._client.search_for_series(search_filters={"SeriesInstanceUID": series_uid})
    header = Dataset.from_json(found)
    return {keyword: str(header.get(keyword, "")) for keyword in FACTS}


def save_labels(folder: Path, target: str) -> None:
    """Write a segmentation's labels, by the numbers of its segments, on the grid of its frames."""
    (path,) = folder.iterdir()
    volume = highdicom.seg.segread(path).get_volume(combine_segments=True, skip_overlap_checks=True)
    to_columns = np.eye(4)[[2, 1, 0, 3]]
    affine = np.diag([-1, -1, 1, 1]) @ volume.affine @ to_columns
    labels = volume.array.astype(np.uint8).transpose(2, 1, 0)
    nib.save(nib.nifti1.Nifti1Image(labels, affine), target)


def labels_to_segmentation(
    series_dir: str, label: str, label_info: Sequence[Mapping[str, Any]] | None, **unused: Any
) -> str:
    """A temporary DICOM segmentation of labels on the grid of a downloaded series, or on another one.

    Args:
        series_dir: folder of the series.
        label: image file of the labels.
        label_info: a ``name`` for each label, in the order of their numbers; with ``idx``, the numbers themselves.
            ``model_name`` of the first one tells who made the labels.
    """
    volume = read_only_series(series_dir)
    labels = labels_on(volume, label)
    names = names_of(label_info or [], int(labels.max()))
    target = temporary_name(".dcm")
    maker = Algorithm(str((label_info or [{}])[0].get("model_name") or "MONAI Label"), "1")
    save_segmentation(target, labels, volume.affine, names, volume.headers, maker)
    return target


def names_of(label_info: Sequence[Mapping[str, Any]], highest: int) -> list[str]:
    """Names by number, the background first; those that nobody gave say so."""
    names = {int(info.get("idx", place)): str(info["name"]) for place, info in enumerate(label_info, start=1)}
    return ["background", *(names.get(number, f"label {number}") for number in range(1, max(highest, *names, 0) + 1))]


def labels_on(volume: Volume, label: str) -> np.ndarray:
    """Labels ``(columns, rows, slices)`` on the grid of ``volume``; each voxel gets the nearest one."""
    loaded = LoadImage(image_only=True, ensure_channel_first=True)(label)
    grid = MetaTensor(torch.zeros(1, *volume.values.shape), affine=torch.as_tensor(volume.affine))
    return ResampleToMatch(mode="nearest", padding_mode="zeros")(loaded, grid)[0].numpy().round().astype(np.uint8)


def read_only_series(folder: str) -> Volume:
    found = find_series(folder)
    if len(found) != 1:
        raise UserError(f"{folder} holds {len(found)} series: give the folder of one")
    return read_series(found[0])


def temporary_name(ending: str) -> str:
    with tempfile.NamedTemporaryFile(suffix=ending, delete=False) as file:
        return file.name
