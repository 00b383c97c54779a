"""From a ViT's tokens to a label for each voxel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, List, NamedTuple  # noqa: UP035  TorchScript reads these annotations

from monai.networks.blocks import UnetOutBlock, UnetrBasicBlock, UnetResBlock, UnetrPrUpBlock, UnetrUpBlock
from monai.networks.layers.factories import Conv, Norm, Pool
from torch import Tensor, nn

from monai_mae_ext.errors import UserError

__all__ = ["DECODERS", "Decoder", "DecoderSizes", "LightDecoder", "TokenHead", "UnetrDecoder"]


class DecoderSizes(NamedTuple):
    """What a decoder is built for.

    ``spatial_dims``, ``in_channels``, ``num_classes`` and ``features`` (channels at full resolution; they double with
    each halving) are as in ``ViTSegmenter``; ``hidden_size``, ``num_layers`` and ``patch_size`` (a number an axis) are
    the encoder's.
    """

    spatial_dims: int
    in_channels: int
    num_classes: int
    hidden_size: int
    num_layers: int
    patch_size: Sequence[int]
    features: int


BLOCK: dict[str, Any] = {"kernel_size": 3, "norm_name": "instance"}
UP: dict[str, Any] = {"upsample_kernel_size": 2, "res_block": True, **BLOCK}


def doublings_of(patch_size: Sequence[int], decoder: str) -> int:
    """How often a token's side halves until it is a voxel; a ``UserError`` unless it is 2, 4, 8, ... along all axes."""
    side, *others = set(patch_size)
    if others or side < 2 or side & (side - 1):
        raise UserError(f"the {decoder} decoder needs cubic patches of 2, 4, 8, ... voxels, not {list(patch_size)}")
    return int(math.log2(side))


class UnetrDecoder(nn.Module):
    """UNETR's decoder (Hatamizadeh et al., arXiv 2103.10504), built of MONAI's blocks.

    Skips come from the image and from the encoder's states at equal steps of its depth, as many as the token's side has
    doublings, less one. For patches of 16 and 12 blocks they are those of MONAI's ``UNETR``: behind blocks 4, 7 and 10.

    Args:
        sizes: with patches of a power of 2, the same along all axes.
    """

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        dims, features = sizes.spatial_dims, sizes.features
        self.levels = doublings_of(sizes.patch_size, "unetr")
        if sizes.num_layers < self.levels:
            raise UserError(
                f"the unetr decoder needs {self.levels} blocks or more for patches of {2**self.levels}, not "
                f"{sizes.num_layers}"
            )
        self.states = [1 + round(sizes.num_layers * level / self.levels) for level in range(1, self.levels)]
        widths = [features * 2**level for level in range(self.levels)] + [sizes.hidden_size]
        # Names are those of MONAI's UNETR: encoder1 looks at the image, encoder2 at the earliest state, and so on.
        self.encoder1 = UnetrBasicBlock(dims, sizes.in_channels, features, stride=1, res_block=True, **BLOCK)
        for level in range(1, self.levels):
            repeats = self.levels - 1 - level
            skip = UnetrPrUpBlock(
                dims, sizes.hidden_size, widths[level], num_layer=repeats, stride=1, conv_block=True, **UP
            )
            self.add_module(f"encoder{level + 1}", skip)
        for level in reversed(range(self.levels)):
            self.add_module(f"decoder{level + 2}", UnetrUpBlock(dims, widths[level + 1], widths[level], **UP))
        self.out = UnetOutBlock(dims, features, sizes.num_classes)

    def forward(self, image: Tensor, maps: List[Tensor]) -> Tensor:  # noqa: UP006
        """Logits ``(B, num_classes, *S)`` of the image and the maps ``(B, E, *grid)``, from early to the last."""
        return UnrolledUnetr(self)(image, maps)

    def __prepare_scriptable__(self) -> nn.Module:
        return UnrolledUnetr(self)


class UnrolledUnetr(nn.Module):
    """A ``UnetrDecoder``'s modules as lists from coarse to fine, since TorchScript looks up none by a computed name."""

    def __init__(self, decoder: UnetrDecoder) -> None:
        super().__init__()
        levels = range(decoder.levels - 1, -1, -1)
        self.skips = nn.ModuleList(decoder.get_submodule(f"encoder{level + 1}") for level in levels)
        self.ups = nn.ModuleList(decoder.get_submodule(f"decoder{level + 2}") for level in levels)
        self.out = decoder.out

    def forward(self, image: Tensor, maps: List[Tensor]) -> Tensor:  # noqa: UP006
        looks = [image] + maps[:-1]  # noqa: RUF005
        x = maps[-1]
        for index, (skip, up) in enumerate(zip(self.skips, self.ups)):  # noqa: B905
            x = up(x, skip(looks[-1 - index]))
        return self.out(x)


class LightDecoder(nn.Module):
    """Doubles the token grid until it has the image's size, the shrunken image at its side. For small tokens.

    Args:
        sizes: with patches of a power of 2, the same along all axes.
    """

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        dims, features = sizes.spatial_dims, sizes.features
        doublings = doublings_of(sizes.patch_size, "light")
        widths = [features * 2**level for level in reversed(range(doublings))]
        self.shrink = nn.ModuleList(Pool[Pool.AVG, dims](2**level) for level in reversed(range(doublings)))
        inputs = [sizes.hidden_size, *widths[:-1]]
        self.states: list[int] = []
        self.up = nn.ModuleList(
            UnetrUpBlock(dims, before, after, **UP) for before, after in zip(inputs, widths, strict=True)
        )
        self.look = nn.ModuleList(
            UnetrBasicBlock(dims, sizes.in_channels, width, stride=1, res_block=True, **BLOCK) for width in widths
        )
        self.out = UnetOutBlock(dims, features, sizes.num_classes)

    def forward(self, image: Tensor, maps: List[Tensor]) -> Tensor:  # noqa: UP006
        """Logits ``(B, num_classes, *S)`` of the image and the encoder's last map, ``[(B, E, *grid)]``."""
        x = maps[0]
        for up, look, shrink in zip(self.up, self.look, self.shrink):  # noqa: B905
            x = up(x, look(shrink(image)))
        return self.out(x)


class TokenHead(nn.Module):
    """Voxels of each token from its own feature, then two convolutions; it never sees the image.

    To ask what an encoder's features hold. They are standardised first, channel by channel, so that a frozen encoder's
    scale does not matter.

    Args:
        sizes: with patches of any size.
    """

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        dims, features = sizes.spatial_dims, sizes.features
        self.states: list[int] = []
        self.norm = Norm[Norm.BATCH, dims](sizes.hidden_size, affine=False)
        self.spread = Conv[Conv.CONVTRANS, dims](sizes.hidden_size, features, sizes.patch_size, sizes.patch_size)
        self.smooth = UnetResBlock(dims, features, features, stride=1, **BLOCK)
        self.out = UnetOutBlock(dims, features, sizes.num_classes)

    def forward(self, image: Tensor, maps: List[Tensor]) -> Tensor:  # noqa: UP006
        """Logits ``(B, num_classes, *S)`` of the encoder's last map, ``[(B, E, *grid)]``."""
        return self.out(self.smooth(self.spread(self.norm(maps[0]))))


Decoder = UnetrDecoder | LightDecoder | TokenHead
DECODERS: dict[str, type[Decoder]] = {"unetr": UnetrDecoder, "light": LightDecoder, "head": TokenHead}
