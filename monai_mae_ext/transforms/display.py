"""From predictions to pictures: the one place where normalised predictions become intensities again.

With per-patch-normalised targets a prediction lacks the mean and the contrast of its patch. They must be borrowed from
somewhere, and a picture is only honest if its caption says from where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms import Transform
from monai.utils import ensure_tuple_rep
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
from torch import Tensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.losses.reconstruction import token_statistics
from monai_mae_ext.networks.tokens import gather_tokens, patchify, scatter_tokens, token_grid, unpatchify
from monai_mae_ext.transforms.masking import mask_image

__all__ = ["BORROWED", "Displayd", "TrivialPredictorsd", "displayable", "fill_linear", "fill_mean"]

BORROWED = {
    "nothing": "raw predictions; nothing borrowed from the hidden patches",
    "visible": "patch mean and contrast interpolated from the visible patches; nothing borrowed from the hidden ones",
    "hidden": "patch mean and contrast borrowed from the hidden patches themselves: this flatters the picture",
}


def interpolate_linear(points: np.ndarray, values: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Piecewise linear interpolation of scattered ``values (P, D)``, nearest neighbour outside their convex hull."""
    nearest = NearestNDInterpolator(points, values)(queries)
    if np.linalg.matrix_rank(points - points[0]) < points.shape[1]:
        return nearest
    linear = LinearNDInterpolator(points, values)(queries)
    return np.where(np.isnan(linear), nearest, linear)


def interpolate_tokens(values: Tensor, visible: Tensor, hidden: Tensor, grid: Sequence[int]) -> Tensor:
    """Interpolate one image's ``values (K, D)`` of the ``visible (K,)`` tokens at the ``hidden (M,)``: ``(M, D)``."""
    place = lambda index: np.stack(np.unravel_index(index.cpu().numpy(), tuple(grid)), axis=1).astype(float)  # noqa: E731
    filled = interpolate_linear(place(visible), values.double().cpu().numpy(), place(hidden))
    return torch.as_tensor(filled, dtype=values.dtype, device=values.device)


def displayable(
    prediction: Tensor,
    image: Tensor,
    visible: Tensor,
    hidden: Tensor,
    patch_size: Sequence[int] | int,
    borrow: str = "nothing",
) -> Tensor:
    """Turn predictions into an image in the units of the input.

    Args:
        prediction: ``(B, C, *S)`` from ``MaskedAutoencoder``; only its ``hidden`` tokens are read.
        image: ``(B, C, *S)``, the network's input.
        visible, hidden: ``(B, K)`` and ``(B, M)``.
        patch_size: token size in voxels.
        borrow: ``"nothing"`` for a network trained on raw targets; for normalised targets ``"visible"`` (honest) or
            ``"hidden"`` (leaks the truth; for comparison with published figures). ``BORROWED[borrow]`` is the caption.

    Returns:
        ``(B, C, *S)``: ``image`` with its hidden tokens replaced, visible or not. Tokens neither hidden
        nor visible become 0.
    """
    if borrow not in BORROWED:
        raise UserError(f"borrow is one of {sorted(BORROWED)}, not {borrow!r}")
    size, patch = list(image.shape[2:]), list(ensure_tuple_rep(patch_size, image.ndim - 2))
    prediction, image = prediction.float().as_subclass(Tensor), image.float().as_subclass(Tensor)
    predicted = gather_tokens(patchify(prediction, patch), hidden)
    tokens = patchify(image, patch)
    seen = gather_tokens(tokens, visible)
    if borrow == "hidden":
        mean, std = token_statistics(gather_tokens(tokens, hidden))
        predicted = predicted * std + mean
    elif borrow == "visible":
        grid = token_grid(size, patch)
        statistics = torch.cat(token_statistics(seen), dim=-1)
        near = torch.stack([interpolate_tokens(*one, grid) for one in zip(statistics, visible, hidden, strict=True)])
        predicted = predicted * near[..., 1:] + near[..., :1]
    whole = scatter_tokens(seen, visible, tokens.shape[1])
    whole.scatter_(1, hidden[..., None].expand_as(predicted), predicted)
    return unpatchify(whole, patch, size)


def fill_mean(image: Tensor, visible: Tensor, patch_size: Sequence[int] | int) -> Tensor:
    """Trivial predictor: everything hidden is the mean of the visible voxels, channel by channel. ``(B, C, *S)``."""
    image = image.as_subclass(Tensor)
    seen = mask_image(visible, image.shape[2:], patch_size)
    axes = list(range(2, image.ndim))
    mean = (image * seen).sum(axes, keepdim=True) / seen.sum(axes, keepdim=True)
    return torch.where(seen, image, mean)


def fill_linear(image: Tensor, visible: Tensor, patch_size: Sequence[int] | int) -> Tensor:
    """Trivial predictor: linear interpolation of the hidden voxels from the visible voxels that border on them.

    Volumes are filled plane by plane along their last axis, since triangulating a volume would take minutes. A plane
    without visible voxels gets the mean of the others'.

    Args:
        image: ``(B, C, *S)``.
        visible: ``(B, K)``.
        patch_size: token size in voxels.

    Returns:
        ``(B, C, *S)`` with the visible voxels as they were.
    """
    seen = mask_image(visible, image.shape[2:], patch_size)[:, 0].cpu().numpy()
    filled = fill_mean(image, visible, patch_size).cpu().numpy()
    for sample, known in zip(filled, seen, strict=True):
        planes = [...] if known.ndim == 2 else [(..., index) for index in range(known.shape[-1])]
        for plane in planes:
            fill_plane(sample[plane], known[plane])
    return torch.as_tensor(filled, device=image.device)


def fill_plane(plane: np.ndarray, known: np.ndarray) -> None:
    """Interpolate the unknown pixels of ``plane (C, H, W)`` in place; ``known`` is bool ``(H, W)``."""
    points, queries = np.argwhere(known & borders(known)), np.argwhere(~known)
    if len(points):
        values = plane[:, points[:, 0], points[:, 1]].T
        plane[:, queries[:, 0], queries[:, 1]] = interpolate_linear(points, values, queries).T


def borders(known: np.ndarray) -> np.ndarray:
    """Voxels that touch the other side of the mask: interpolation between them needs no others."""
    edge = np.zeros_like(known)
    for axis in range(known.ndim):
        change = np.diff(known, axis=axis)
        before, after = [slice(None)] * known.ndim, [slice(None)] * known.ndim
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        edge[tuple(before)] |= change
        edge[tuple(after)] |= change
    return edge


class Displayd(Transform):
    """Post-processing of a batch: adds ``reconstruction`` and ``reference`` in displayed units.

    Reads ``pred`` and ``label`` (a dictionary of ``image``, ``visible``, ``hidden``) as the evaluator writes them.
    ``reconstruction`` is the displayable image; ``reference`` is ``label`` with its image in displayed units.

    Args:
        patch_size, borrow: as in ``displayable``.
        mean, std: what the network's input was standardised with; undone here.
    """

    def __init__(self, patch_size: Sequence[int] | int, borrow: str, mean: float = 0.0, std: float = 1.0) -> None:
        self.patch_size = patch_size
        self.borrow = borrow
        self.mean, self.std = mean, std

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        label = data["label"]
        picture = displayable(
            data["pred"], label["image"], label["visible"], label["hidden"], self.patch_size, self.borrow
        )
        reference = {**label, "image": label["image"] * self.std + self.mean}
        return {**data, "reconstruction": picture * self.std + self.mean, "reference": reference}


class TrivialPredictorsd(Transform):
    """Post-processing of a batch, behind ``Displayd``: adds ``mean_fill`` and ``linear_fill``, the trivial predictors.

    Args:
        patch_size: token size in voxels.
    """

    def __init__(self, patch_size: Sequence[int] | int) -> None:
        self.patch_size = patch_size

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        image, visible = data["reference"]["image"], data["reference"]["visible"]
        return {
            **data,
            "mean_fill": fill_mean(image, visible, self.patch_size),
            "linear_fill": fill_linear(image, visible, self.patch_size),
        }
