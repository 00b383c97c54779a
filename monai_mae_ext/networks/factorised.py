"""Factorised attention: blocks take turns to attend within slices and along columns of a 3-D token grid.

A block's own weights do not change, so that an encoder keeps MONAI's names and shapes; only who attends to whom does
(divided attention as in TimeSformer, arXiv 2102.05095, but in turns rather than twice in a block). Of ``N`` tokens in
``S`` slices a block then compares ``N * (N / S)`` or ``N * S`` pairs instead of ``N * N``.

The tokens must fill a smaller grid, as all tokens do and those that ``PlaneOrAxisMasking`` leaves: some columns, the
same in all slices seen. In row-major order with the slices across the last axis they are then ``(columns, slices)``.

Stochastic depth drops a block's branch for single slices or columns, not for whole samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from monai_mae_ext.errors import UserError

__all__ = ["count_slices", "group_tokens", "ungroup_tokens"]


def count_slices(visible: Tensor, depth: int) -> int:
    """How many slices the visible tokens ``(B, K)`` lie in, ``depth`` being those of the grid.

    Raises:
        UserError: if they do not fill the same columns in each slice.
    """
    seen = visible[0].remainder(depth).sort()[0]
    n_slices = 1 + int((seen[1:] != seen[:-1]).sum())
    if visible.shape[1] % n_slices == 0:
        cells = visible.reshape(len(visible), -1, n_slices)
        columns, slices = cells.div(depth, rounding_mode="floor"), cells.remainder(depth)
        if torch.equal(columns, columns[..., :1].expand_as(columns)) and torch.equal(
            slices, slices[:, :1].expand_as(slices)
        ):
            return n_slices
    raise UserError("factorised attention needs the same columns in all visible slices: use PlaneOrAxisMasking")


def group_tokens(x: Tensor, leading: int, n_slices: int, along: bool) -> Tensor:
    """Rearrange tokens ``(B, leading + C * S, D)`` for a block.

    Within slices ``(B * S, leading + C, D)``: the class token, if there is one, goes along with each. Along columns
    ``(B * C, S, D)``, without it.
    """
    batch, width = x.shape[0], x.shape[2]
    grid = x[:, leading:].reshape(batch, -1, n_slices, width)
    if along:
        return grid.flatten(0, 1)
    lead = x[:, None, :leading].expand(-1, n_slices, -1, -1)
    return torch.cat([lead, grid.transpose(1, 2)], dim=2).flatten(0, 1)


def ungroup_tokens(grouped: Tensor, x: Tensor, leading: int, n_slices: int, along: bool) -> Tensor:
    """Bring a block's output back to ``x``'s arrangement; the class token is the mean over the slices, or ``x``'s."""
    batch, width = x.shape[0], x.shape[2]
    if along:
        return torch.cat([x[:, :leading], grouped.reshape(batch, -1, width)], dim=1)
    grouped = grouped.reshape(batch, n_slices, -1, width)
    tokens = grouped[:, :, leading:].transpose(1, 2).flatten(1, 2)
    return torch.cat([grouped[:, :, :leading].mean(dim=1), tokens], dim=1)
