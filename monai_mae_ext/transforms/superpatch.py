"""Superpatches: chunks of a volume as the units of pre-training, chosen without looking at a label."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data.meta_tensor import MetaTensor
from monai.transforms import MapTransform, Randomizable, SpatialCrop, SpatialPad
from monai.utils import ensure_tuple_rep
from torch import Tensor

from monai_mae_ext.errors import UserError

__all__ = ["PadToSuperpatchd", "RandSuperpatchd"]


class PadToSuperpatchd(MapTransform):
    """Pad a volume, evenly on both sides, to at least a superpatch, and remember which voxels it had.

    Args:
        keys: the image ``(C, *S)``.
        spatial_size: the least size; one number or one an axis.
        value: what is padded, in the image's units (after scaling, the value of air).
        valid_key: gets ``(1, *S)``, uint8: 1 in the volume, 0 in the padding. Loss and metrics leave the padding out.
    """

    def __init__(
        self, keys: KeysCollection, spatial_size: Sequence[int] | int, value: float = 0.0, valid_key: str = "valid"
    ) -> None:
        super().__init__(keys)
        self.spatial_size, self.value, self.valid_key = spatial_size, value, valid_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            image = out[key]
            size = np.maximum(image.shape[1:], ensure_tuple_rep(self.spatial_size, image.ndim - 1))
            valid = MetaTensor(torch.ones_like(image[:1].as_subclass(Tensor), dtype=torch.uint8))
            if isinstance(image, MetaTensor):
                valid.copy_meta_from(image)
            out[key] = SpatialPad(size, value=self.value)(image)
            out[self.valid_key] = SpatialPad(size, value=0.0)(valid)
        return out


class RandSuperpatchd(Randomizable, MapTransform):
    """Random superpatches of a volume, several from one read; those that hold little but air are drawn again.

    Args:
        keys: the image ``(C, *S)`` first; all keys are cropped alike.
        spatial_size: of a superpatch; one number or one an axis.
        num_samples: superpatches a volume.
        foreground_key: item whose first channel tells foreground; None for the image.
        threshold: a voxel is foreground where that is above it.
        min_foreground: share of a superpatch that must be foreground, in [0, 1).
        tries: draws for each superpatch, of which the last resort is the one with most foreground.

    Returns:
        A list of ``num_samples`` dictionaries, for a ``DataLoader`` that flattens lists, as MONAI's does.

    Raises:
        UserError: for arguments out of range, or a volume smaller than a superpatch.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spatial_size: Sequence[int] | int,
        num_samples: int = 1,
        foreground_key: str | None = None,
        threshold: float = 0.0,
        min_foreground: float = 0.05,
        tries: int = 10,
    ) -> None:
        super().__init__(keys)
        if num_samples < 1 or tries < 1:
            raise UserError(f"num_samples and tries are at least 1, not {num_samples} and {tries}")
        if not 0 <= min_foreground < 1:
            raise UserError(f"min_foreground is in [0, 1), not {min_foreground}")
        self.spatial_size, self.num_samples, self.tries = spatial_size, num_samples, tries
        self.foreground_key, self.threshold, self.min_foreground = foreground_key, threshold, min_foreground

    def __call__(self, data: Mapping[Hashable, Any]) -> list[dict[Hashable, Any]]:
        image = data[self.first_key(dict(data))]
        size = ensure_tuple_rep(self.spatial_size, image.ndim - 1)
        if any(side < wanted for side, wanted in zip(image.shape[1:], size, strict=True)):
            raise UserError(
                f"a volume of {tuple(image.shape[1:])} is smaller than a superpatch of {size}: put PadToSuperpatchd "
                "before RandSuperpatchd"
            )
        foreground = (data[self.foreground_key] if self.foreground_key else image).as_subclass(Tensor)[0]
        crops = (self.draw(foreground, size) for _ in range(self.num_samples))
        return [{**data, **{key: crop(data[key]) for key in self.key_iterator(data)}} for crop in crops]

    def draw(self, foreground: Tensor, size: Sequence[int]) -> SpatialCrop:
        """Draw the place of one superpatch in ``foreground (*S)``."""
        best, most = None, -1.0
        for _ in range(self.tries):
            corner = [self.R.randint(side - wanted + 1) for side, wanted in zip(foreground.shape, size, strict=True)]
            box = tuple(slice(start, start + side) for start, side in zip(corner, size, strict=True))
            share = (foreground[box] > self.threshold).float().mean().item()
            if share > most:
                best, most = box, share
            if most >= self.min_foreground:
                break
        return SpatialCrop(roi_slices=best)
