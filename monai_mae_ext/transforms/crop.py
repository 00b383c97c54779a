"""Random resized crop, which MONAI lacks."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch.nn.functional as F
from monai.config import KeysCollection
from monai.data.meta_tensor import MetaTensor
from monai.transforms import MapTransform, Randomizable, Transform
from monai.utils import ensure_tuple_rep
from torch import Tensor

__all__ = ["RandResizedCrop", "RandResizedCropd"]


class RandResizedCrop(Randomizable, Transform):
    """Cut a random box out of a 2-D image and resize it to a fixed size (bilinear, antialiased), on the image's device.

    Args:
        size: output size; one number or (height, width).
        scale: range of the box's share of the image's area, within (0, 1].
        ratio: range of its aspect ratio (width over height, relative to the image's own), drawn on a log scale and
            drawn nearer to 1 where a large box would not fit otherwise.
    """

    def __init__(
        self,
        size: Sequence[int] | int,
        scale: tuple[float, float] = (0.2, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
    ) -> None:
        if not 0 < scale[0] <= scale[1] <= 1 or not 0 < ratio[0] <= ratio[1]:
            raise ValueError(f"scale {scale} must lie in (0, 1], ratio {ratio} must be positive, both from low to high")
        self.size = ensure_tuple_rep(size, 2)
        self.scale, self.ratio = scale, ratio

    def randomize(self, data: Sequence[int]) -> tuple[int, int, int, int]:  # type: ignore[override]
        """Draw a box (top, left, height, width) in an image of ``data`` = (H, W)."""
        area = self.R.uniform(*self.scale)
        log_ratio = np.clip(
            self.R.uniform(*np.log(self.ratio)), math.log(area), -math.log(area)
        )  # else it would not fit
        height = max(1, round(data[0] * math.sqrt(area / math.exp(log_ratio))))
        width = max(1, round(data[1] * math.sqrt(area * math.exp(log_ratio))))
        return self.R.randint(data[0] - height + 1), self.R.randint(data[1] - width + 1), height, width

    def __call__(self, image: Tensor) -> Tensor:
        """``(C, H, W)`` to ``(C, *size)``; metadata of a MONAI tensor is kept."""
        top, left, height, width = self.randomize(image.shape[1:])
        box = image.as_subclass(Tensor)[None, :, top : top + height, left : left + width]
        out = F.interpolate(box, size=self.size, mode="bilinear", antialias=True)[0]
        return MetaTensor(out, meta=image.meta) if isinstance(image, MetaTensor) else out


class RandResizedCropd(MapTransform, Randomizable):
    """Dictionary twin of ``RandResizedCrop``; all keys get the same box."""

    def __init__(
        self,
        keys: KeysCollection,
        size: Sequence[int] | int,
        scale: tuple[float, float] = (0.2, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.crop = RandResizedCrop(size, scale, ratio)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandResizedCropd:
        self.crop.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        state = self.crop.R.get_state()
        for key in self.key_iterator(out):
            self.crop.R.set_state(state)
            out[key] = self.crop(out[key])
        return out
