"""Images as sequences of tokens: pure index functions for 2-D and 3-D, any channel count, any grid.

A *token* is one patch. Tokens are numbered in row-major (C) order of the patch grid, so that in 3-D with grid
``(gh, gw, gd)`` the patch at ``(i, j, k)`` is token ``(i * gw + j) * gd + k``. Inside a token the values lie channel
first, ``(C, *patch_size)`` flattened: the layout of a convolution kernel, so a patch embedding is one matrix product.
Masking everywhere in this package is a pair of index tensors ``visible (B, K)`` and ``hidden (B, M)``, never booleans.
All functions can be scripted.
"""

from __future__ import annotations

from typing import List  # noqa: UP035  TorchScript reads these annotations

import torch
from torch import Tensor

__all__ = ["gather_tokens", "patchify", "scatter_tokens", "token_grid", "unpatchify"]


def token_grid(image_size: List[int], patch_size: List[int]) -> List[int]:  # noqa: UP006
    """Number of patches along each axis.

    Args:
        image_size: spatial shape ``S``.
        patch_size: patch shape, one entry an axis.

    Raises:
        ValueError: if the ranks differ or an axis of ``image_size`` is not a positive multiple of its patch.
    """
    if len(image_size) != len(patch_size):
        raise ValueError(f"image size {image_size} and patch size {patch_size} differ in their number of axes")
    grid: List[int] = []  # noqa: UP006
    for side, patch in zip(image_size, patch_size):  # noqa: B905  TorchScript knows no strict=
        if patch < 1 or side < patch or side % patch != 0:
            raise ValueError(f"image size {image_size} is not a multiple of patch size {patch_size}")
        grid.append(side // patch)
    return grid


def patchify(image: Tensor, patch_size: List[int]) -> Tensor:  # noqa: UP006
    """Cut ``image`` ``(B, C, *S)`` into tokens ``(B, N, C * prod(patch_size))``."""
    batch, channels = image.shape[0], image.shape[1]
    grid = token_grid(list(image.shape[2:]), patch_size)
    axes = len(grid)
    split = [batch, channels]
    for count, patch in zip(grid, patch_size):  # noqa: B905
        split += [count, patch]
    order = [0] + [2 + 2 * axis for axis in range(axes)] + [1] + [3 + 2 * axis for axis in range(axes)]
    return image.reshape(split).permute(order).flatten(1 + axes).flatten(1, axes)


def unpatchify(tokens: Tensor, patch_size: List[int], image_size: List[int]) -> Tensor:  # noqa: UP006
    """Put tokens ``(B, N, C * prod(patch_size))`` back together as an image ``(B, C, *image_size)``.

    Raises:
        ValueError: if the number of tokens or their length does not fit.
    """
    grid = token_grid(image_size, patch_size)
    axes = len(grid)
    count, volume = 1, 1
    for cells, patch in zip(grid, patch_size):  # noqa: B905
        count *= cells
        volume *= patch
    if tokens.shape[1] != count or tokens.shape[2] % volume != 0:
        raise ValueError(f"tokens {tokens.shape} do not fit an image of {image_size} in patches of {patch_size}")
    batch, channels = tokens.shape[0], tokens.shape[2] // volume
    order = [0, 1 + axes]
    for axis in range(axes):
        order += [1 + axis, 2 + axes + axis]
    image = tokens.reshape([batch] + grid + [channels] + patch_size).permute(order)
    return image.reshape([batch, channels] + image_size)


def gather_tokens(tokens: Tensor, index: Tensor) -> Tensor:
    """Pick tokens: ``(B, N, D)`` or ``(1, N, D)`` at ``index (B, K)`` gives ``(B, K, D)``."""
    tokens = tokens.expand(index.shape[0], -1, -1)
    return torch.gather(tokens, 1, index.unsqueeze(-1).expand(-1, -1, tokens.shape[2]))


def scatter_tokens(tokens: Tensor, index: Tensor, n_tokens: int) -> Tensor:
    """Put tokens ``(B, M, D)`` at ``index (B, M)`` of an otherwise zero sequence ``(B, n_tokens, D)``."""
    empty = torch.zeros([tokens.shape[0], n_tokens, tokens.shape[2]], dtype=tokens.dtype, device=tokens.device)
    return empty.scatter(1, index.unsqueeze(-1).expand(-1, -1, tokens.shape[2]), tokens)
