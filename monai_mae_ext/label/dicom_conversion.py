"""Labels on an image's grid as DICOM segmentation, in the place of MONAI Label's converter.

MONAI Label 0.8.5 codes every segment as a spleen, shifts names when a label is missing, and needs pydicom-seg, which
cannot be imported beside pydicom 3, or programs that it downloads.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import monailabel.endpoints.infer
import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms import LoadImage, ResampleToMatch

from monai_mae_ext.dicom import Volume, find_series, read_series
from monai_mae_ext.dicom.algorithm import Algorithm
from monai_mae_ext.dicom.segmentation import save_segmentation
from monai_mae_ext.errors import UserError

__all__ = ["answer_segmentations_ourselves", "labels_to_segmentation", "read_only_series"]


def answer_segmentations_ourselves() -> None:
    """Let inferences with ``output=dicom_seg`` be converted here."""
    monailabel.endpoints.infer.nifti_to_dicom_seg = answer_segmentation


def answer_segmentation(series_dir: str, label: str, label_info: Sequence[Mapping[str, Any]], **unused: Any) -> str:
    """A temporary DICOM segmentation of an inference, which the server removes when it was sent."""
    with tempfile.NamedTemporaryFile(suffix=".dcm", delete=False) as file:
        labels_to_segmentation(series_dir, label, label_info, file.name, "AUTOMATIC")
        return file.name


def labels_to_segmentation(
    series_dir: str, label: str, label_info: Sequence[Mapping[str, Any]], target: str, kind: str
) -> None:
    """Write labels, on the grid of a series or on another one, as DICOM segmentation.

    Args:
        series_dir: folder of the series.
        label: image file of the labels.
        label_info: a ``name`` for each label, in the order of their numbers; with ``idx``, the numbers themselves.
            ``model_name`` of the first one tells who made the labels.
        target: file to write.
        kind: AUTOMATIC or SEMIAUTOMATIC.
    """
    volume = read_only_series(series_dir)
    labels = labels_on(volume, label)
    names = names_of(label_info, int(labels.max()))
    maker = str(label_info[0].get("model_name") or "MONAI Label") if label_info else "MONAI Label"
    save_segmentation(target, labels, volume.affine, names, volume.headers, Algorithm(maker, "1", kind))


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
    """The volume of a folder that holds one series.

    Raises:
        UserError: if it holds more, or the series is no volume.
    """
    found = find_series(folder)
    if len(found) != 1:
        raise UserError(f"{folder} holds {len(found)} series: give the folder of one")
    return read_series(found[0])
