"""Segmentation networks around the masked autoencoder's encoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from monai.networks.blocks import UnetOutBlock, UnetrBasicBlock, UnetrPrUpBlock, UnetrUpBlock
from monai.utils import ensure_tuple_rep
from torch import Tensor, nn

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks.encoder import MaskedEncoder
from monai_mae_ext.networks.mae import initialize

__all__ = ["LightDecoder", "UnetrDecoder", "ViTSegmenter"]

BLOCK: dict[str, Any] = {"kernel_size": 3, "norm_name": "instance"}


class UnetrDecoder(nn.Module):
    """UNETR's decoder (Hatamizadeh et al., arXiv 2103.10504), built of MONAI's blocks, for patches of 16.

    Skips come from the image and from the encoder's states at a third, a half and five sixths of its depth, which for
    12 blocks are those of MONAI's ``UNETR``: behind blocks 4, 7 and 10.

    Args:
        spatial_dims, in_channels, num_classes: as in ``ViTSegmenter``.
        hidden_size, num_layers, patch_size: of the encoder.
        features: channels at full resolution; they double with each halving.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        hidden_size: int,
        num_layers: int,
        patch_size: Sequence[int],
        features: int,
    ) -> None:
        super().__init__()
        if set(patch_size) != {16}:
            raise UserError(f"the unetr decoder is for patches of 16, not {list(patch_size)}: take decoder 'light'")
        self.states = [1 + round(num_layers * quarter / 4) for quarter in (1, 2, 3)]
        self.encoder1 = UnetrBasicBlock(spatial_dims, in_channels, features, stride=1, res_block=True, **BLOCK)
        options: dict[str, Any] = {
            "stride": 1,
            "upsample_kernel_size": 2,
            "conv_block": True,
            "res_block": True,
            **BLOCK,
        }
        self.encoder2 = UnetrPrUpBlock(spatial_dims, hidden_size, features * 2, num_layer=2, **options)
        self.encoder3 = UnetrPrUpBlock(spatial_dims, hidden_size, features * 4, num_layer=1, **options)
        self.encoder4 = UnetrPrUpBlock(spatial_dims, hidden_size, features * 8, num_layer=0, **options)
        options = {"upsample_kernel_size": 2, "res_block": True, **BLOCK}
        self.decoder5 = UnetrUpBlock(spatial_dims, hidden_size, features * 8, **options)
        self.decoder4 = UnetrUpBlock(spatial_dims, features * 8, features * 4, **options)
        self.decoder3 = UnetrUpBlock(spatial_dims, features * 4, features * 2, **options)
        self.decoder2 = UnetrUpBlock(spatial_dims, features * 2, features, **options)
        self.out = UnetOutBlock(spatial_dims, features, num_classes)

    def forward(self, image: Tensor, maps: list[Tensor]) -> Tensor:
        """Logits ``(B, num_classes, *S)`` of the image and the maps ``(B, E, *grid)``: three states, then the last."""
        early, middle, late, last = maps
        x = self.decoder5(last, self.encoder4(late))
        x = self.decoder4(x, self.encoder3(middle))
        x = self.decoder3(x, self.encoder2(early))
        return self.out(self.decoder2(x, self.encoder1(image)))


class LightDecoder(nn.Module):
    """Doubles the token grid until it has the image's size, the shrunken image at its side. For small tokens.

    Args:
        spatial_dims, in_channels, num_classes, hidden_size, num_layers, features: as in ``UnetrDecoder``.
        patch_size: of the encoder; a power of 2, the same along all axes.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        hidden_size: int,
        num_layers: int,
        patch_size: Sequence[int],
        features: int,
    ) -> None:
        super().__init__()
        side, *others = set(patch_size)
        if others or side < 2 or side & (side - 1):
            raise UserError(f"the light decoder needs cubic patches of 2, 4, 8, ... voxels, not {list(patch_size)}")
        self.states: list[int] = []
        doublings = int(math.log2(side))
        widths = [features * 2**level for level in reversed(range(doublings))]
        self.shrink = [2**level for level in reversed(range(doublings))]
        inputs = [hidden_size, *widths[:-1]]
        options: dict[str, Any] = {"upsample_kernel_size": 2, "res_block": True, **BLOCK}
        self.up = nn.ModuleList(
            UnetrUpBlock(spatial_dims, before, after, **options) for before, after in zip(inputs, widths, strict=True)
        )
        self.look = nn.ModuleList(
            UnetrBasicBlock(spatial_dims, in_channels, width, stride=1, res_block=True, **BLOCK) for width in widths
        )
        self.out = UnetOutBlock(spatial_dims, features, num_classes)

    def forward(self, image: Tensor, maps: list[Tensor]) -> Tensor:
        """Logits ``(B, num_classes, *S)`` of the image and the encoder's last map, ``[(B, E, *grid)]``."""
        (x,) = maps
        pool = F.avg_pool3d if image.ndim == 5 else F.avg_pool2d
        for up, look, shrink in zip(self.up, self.look, self.shrink, strict=True):
            x = up(x, look(pool(image, shrink)))
        return self.out(x)


DECODERS: dict[str, type[UnetrDecoder | LightDecoder]] = {"unetr": UnetrDecoder, "light": LightDecoder}


class ViTSegmenter(nn.Module):
    """A ViT and a convolutional decoder; the ViT takes a pre-trained encoder's weights (see ``load_pretrained``).

    With the decoder ``"unetr"``, without class token, and 12 blocks it is MONAI's ``UNETR``, weight for weight.
    ``facts`` holds the constructor's arguments.

    Args:
        num_classes: outputs, the background among them.
        decoder: ``"unetr"``, for patches of 16, or ``"light"``, for smaller ones.
        features: channels of the decoder at full resolution.
        others: as in ``MaskedEncoder``.

    Raises:
        UserError: for another decoder, or a patch size that it is not for.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        img_size: Sequence[int] | int,
        patch_size: Sequence[int] | int,
        num_classes: int,
        hidden_size: int = 768,
        mlp_dim: int = 3072,
        num_layers: int = 12,
        num_heads: int = 12,
        decoder: str = "unetr",
        features: int = 16,
        qkv_bias: bool = True,
        positions: str = "sincos",
        cls_token: bool = True,
        drop_path: float = 0.0,
        norm_eps: float = 1e-5,
        checkpointing: bool = False,
        attention: str = "full",
    ) -> None:
        facts = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__()
        self.facts = facts
        if decoder not in DECODERS:
            raise UserError(f"decoder is one of {sorted(DECODERS)}, not {decoder!r}")
        self.encoder = MaskedEncoder(
            spatial_dims, in_channels, img_size, patch_size, hidden_size, mlp_dim, num_layers, num_heads,
            qkv_bias, positions, "linear", cls_token, drop_path, norm_eps, checkpointing, attention,
        )  # fmt: skip
        self.encoder.apply(initialize)
        patch = ensure_tuple_rep(patch_size, spatial_dims)
        self.decoder: UnetrDecoder | LightDecoder = DECODERS[decoder](
            spatial_dims, in_channels, num_classes, hidden_size, num_layers, patch, features
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(B, num_classes, *S)`` of ``image (B, C, *S)``, ``S`` being ``img_size``."""
        states = self.encoder.states(image, self.decoder.states)
        grid = self.encoder.grid
        n_tokens = math.prod(grid)
        maps = [state[:, -n_tokens:].transpose(1, 2).reshape(len(image), -1, *grid) for state in states]
        return self.decoder(image, maps)
