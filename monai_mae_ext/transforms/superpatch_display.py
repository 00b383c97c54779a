"""From the predictions of a whole volume to the pictures that are scored and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from monai.transforms import Transform
from monai.utils import ensure_tuple_rep
from torch import Tensor

__all__ = ["SuperpatchDisplayd", "block_mean"]


def block_mean(image: Tensor, patch_size: Sequence[int] | int) -> Tensor:
    """Trivial autoencoder: each token of ``(B, C, *S)`` becomes its own mean; at the far end tokens may be cut."""
    axes = image.ndim - 2
    patch = list(ensure_tuple_rep(patch_size, axes))
    pool = {2: F.avg_pool2d, 3: F.avg_pool3d}[axes]
    means = pool(image, patch, ceil_mode=True, count_include_pad=False)
    for axis, (side, cells) in enumerate(zip(image.shape[2:], patch, strict=True), start=2):
        means = means.repeat_interleave(cells, dim=axis).narrow(axis, 0, side)
    return means


class SuperpatchDisplayd(Transform):
    """Post-processing of a batch of volumes: what ``SuperpatchInferer`` found, beside trivial predictors.

    Adds ``unmasked`` (the reconstruction of the unmasked volume) and ``block_mean``, its trivial rival. If there was
    masking also ``pasted`` (predictions where some superpatch hid a voxel, the input elsewhere) and ``mean_fill``, its
    trivial rival (the mean of the voxels that none hid). ``reference`` is ``label`` with the ``hidden`` voxels. All are
    in displayed units: the image's times ``std`` plus ``mean``, as in ``Displayd``.

    Args:
        patch_size: token size in voxels.
        mean, std: undo what the network's input was standardised with.
    """

    def __init__(self, patch_size: Sequence[int] | int, mean: float = 0.0, std: float = 1.0) -> None:
        self.patch_size, self.mean, self.std = patch_size, mean, std

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        image = data["label"]["image"] * self.std + self.mean
        pred = {key: value if key == "hidden" else value * self.std + self.mean for key, value in data["pred"].items()}
        out = {**data, "unmasked": pred["unmasked"], "block_mean": block_mean(image, self.patch_size)}
        out["reference"] = {**data["label"], "image": image}
        if "hidden" in pred:
            hidden = out["reference"]["hidden"] = pred["hidden"]
            axes = list(range(2, image.ndim))
            mean = (image * ~hidden).sum(axes, keepdim=True) / (~hidden).sum(axes, keepdim=True).clamp(min=1)
            out["pasted"] = torch.where(hidden, pred["predicted"], image)
            out["mean_fill"] = torch.where(hidden, mean, image)
        return out
