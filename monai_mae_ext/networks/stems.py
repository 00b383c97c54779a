"""Stems: from the pixels of chosen patches to the width of the ViT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import List  # noqa: UP035  TorchScript reads these annotations

import torch
import torch.nn.functional as F
from monai.networks.layers import Conv
from torch import Tensor, nn

from monai_mae_ext.errors import UserError

__all__ = ["STEMS", "LinearStem", "TwoStageStem"]


class LinearStem(nn.Module):
    """One matrix a patch; weights shaped as those of the convolution in MONAI's ``ViT``."""

    def __init__(self, in_channels: int, patch_size: Sequence[int], hidden_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(hidden_size, in_channels, *patch_size))
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        nn.init.xavier_uniform_(self.weight.data.view(hidden_size, -1))

    def forward(self, patches: Tensor) -> Tensor:
        """``(B, K, C * prod(patch_size))`` to ``(B, K, hidden_size)``."""
        return F.linear(patches, self.weight.flatten(1), self.bias)


class TwoStageStem(nn.Module):
    """Two convolutions and a projection inside each patch, for large ones (HD X-ray MAE, arXiv 2404.17926).

    A patch of 64 pixels becomes 4 x 4 cells of 16 pixels, then one token. Only visible patches are computed.
    """

    def __init__(self, in_channels: int, patch_size: Sequence[int], hidden_size: int) -> None:
        super().__init__()
        if any(side % 4 for side in patch_size):
            raise UserError(f"the two_stage stem needs a patch_size that is a multiple of 4, not {tuple(patch_size)}")
        conv = Conv[Conv.CONV, len(patch_size)]
        cell = tuple(side // 4 for side in patch_size)
        self.shape: List[int] = [in_channels, *patch_size]  # noqa: UP006
        self.cells = conv(in_channels, hidden_size, kernel_size=cell, stride=cell)
        self.merge = conv(hidden_size, hidden_size, kernel_size=4, stride=4)
        self.project = nn.Linear(hidden_size, hidden_size)

    def forward(self, patches: Tensor) -> Tensor:
        """``(B, K, C * prod(patch_size))`` to ``(B, K, hidden_size)``."""
        x = F.relu(self.cells(patches.reshape([-1] + self.shape)))
        x = F.relu(self.merge(x)).flatten(1)
        return self.project(x).reshape(patches.shape[0], patches.shape[1], -1)


STEMS = {"linear": LinearStem, "two_stage": TwoStageStem}
