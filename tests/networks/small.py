"""Small networks and batches for the tests of the masked autoencoder."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from monai_mae_ext.networks import MaskedAutoencoder
from monai_mae_ext.transforms import mask_image

SIZES = {2: ((16, 24), (4, 8)), 3: ((8, 8, 12), (4, 2, 4))}
SMALL = {
    "hidden_size": 48, "mlp_dim": 64, "num_layers": 2, "num_heads": 4,
    "decoder_hidden_size": 24, "decoder_mlp_dim": 32, "decoder_num_layers": 2, "decoder_num_heads": 2,
}  # fmt: skip


def network(axes: int = 2, **options: object) -> MaskedAutoencoder:
    torch.manual_seed(0)
    img_size, patch_size = SIZES[axes]
    return MaskedAutoencoder(axes, 2, img_size, patch_size, **{**SMALL, **options}).eval()


def batch(axes: int = 2, n_visible: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Two images with different masks, as the loader gives them."""
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(2, 2, *SIZES[axes][0], generator=generator)
    n_tokens = math.prod(side // patch for side, patch in zip(*SIZES[axes], strict=True))
    order = torch.stack([torch.randperm(n_tokens, generator=generator) for _ in range(2)])
    return image, order[:, :n_visible].sort().values, order[:, n_visible:].sort().values


def voxels(index: Tensor, axes: int = 2) -> Tensor:
    return mask_image(index, *SIZES[axes]).expand(-1, 2, *[-1] * axes)


decoders = pytest.mark.parametrize("decoder", ["self", "cross"])
