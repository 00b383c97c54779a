"""The encoder: a ViT that embeds and attends only to the tokens it is given."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import List, Optional  # noqa: UP035  TorchScript reads these annotations

import torch
from monai.networks.blocks.pos_embed_utils import build_sincos_position_embedding
from monai.utils import ensure_tuple_rep
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks.blocks import SelfAttentionBlock
from monai_mae_ext.networks.factorised import count_slices, group_tokens, ungroup_tokens
from monai_mae_ext.networks.stems import STEMS
from monai_mae_ext.networks.tokens import gather_tokens, patchify, token_grid

__all__ = ["MaskedEncoder", "position_table"]


def position_table(grid: Sequence[int], hidden_size: int, kind: str) -> nn.Parameter:
    """Position embeddings ``(1, N, hidden_size)`` for a token grid.

    Args:
        grid: patches along each axis, 2-D or 3-D.
        kind: ``"sincos"`` (fixed; MONAI's layout, so that tables agree with MONAI's ``ViT``) or ``"learnable"``.

    Raises:
        UserError: for another kind, or if ``hidden_size`` is no multiple of 4 (2-D) or 6 (3-D) with ``"sincos"``.
    """
    if kind == "learnable":
        table = torch.zeros(1, int(torch.tensor(list(grid)).prod()), hidden_size)
        return nn.Parameter(nn.init.trunc_normal_(table, std=0.02))
    if kind != "sincos":
        raise UserError(f"positions are 'sincos' or 'learnable', not {kind!r}")
    if hidden_size % (2 * len(grid)):
        raise UserError(f"{len(grid)}-D sin-cos positions need a width that is a multiple of {2 * len(grid)}, "
                        f"not {hidden_size}")  # fmt: skip
    with warnings.catch_warnings():  # MONAI's call of torch.meshgrid warns about its default
        warnings.simplefilter("ignore")
        return build_sincos_position_embedding(list(grid), hidden_size, len(grid))


class PatchEmbedding(nn.Module):
    """Embedding of chosen patches plus their positions; with the linear stem, weights as in MONAI's ``ViT``."""

    def __init__(
        self,
        in_channels: int,
        image_size: Sequence[int],
        patch_size: Sequence[int],
        hidden_size: int,
        positions: str,
        stem: str,
    ) -> None:
        super().__init__()
        if stem not in STEMS:
            raise UserError(f"stem is one of {sorted(STEMS)}, not {stem!r}")
        self.patch_size: List[int] = list(patch_size)  # noqa: UP006
        self.patch_embeddings = STEMS[stem](in_channels, patch_size, hidden_size)
        self.grid: List[int] = token_grid(list(image_size), list(patch_size))  # noqa: UP006
        self.position_embeddings = position_table(self.grid, hidden_size, positions)

    def forward(self, image: Tensor, index: Optional[Tensor]) -> Tensor:  # noqa: UP045
        patches = patchify(image, self.patch_size)
        positions: Tensor = self.position_embeddings
        if index is not None:
            patches, positions = gather_tokens(patches, index), gather_tokens(positions, index)
        return self.patch_embeddings(patches) + positions


class MaskedEncoder(nn.Module):
    """A ViT on the visible tokens alone (MAE, arXiv 2111.06377, section 3).

    ``state_dict`` has the key names of ``monai.networks.nets.ViT`` (see ``encoder_weights``).

    Args:
        spatial_dims: 2 or 3.
        in_channels: image channels.
        img_size: spatial size, a multiple of ``patch_size``; one number or one an axis.
        patch_size: one number or one an axis.
        hidden_size, mlp_dim, num_layers, num_heads: the ViT; defaults are ViT-B.
        qkv_bias: biases in the attention's projections, as in the original MAE.
        positions: ``"sincos"`` or ``"learnable"``.
        stem: ``"linear"``, or ``"two_stage"`` for large patches.
        cls_token: prepend a class token (without position).
        drop_path: rate of the last block, rising linearly from 0 at the first.
        norm_eps: epsilon of the layer norms: 1e-5 as in MONAI's ``ViT``, 1e-6 in timm's and the original MAE's.
        checkpointing: recompute blocks in the backward pass instead of keeping activations.
        attention: ``"full"``, or ``"factorised"``: within slices in every other block, along columns in the others.

    Raises:
        UserError: for another stem, attention or kind of positions, or factorised attention in 2-D.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        img_size: Sequence[int] | int,
        patch_size: Sequence[int] | int,
        hidden_size: int = 768,
        mlp_dim: int = 3072,
        num_layers: int = 12,
        num_heads: int = 12,
        qkv_bias: bool = True,
        positions: str = "sincos",
        stem: str = "linear",
        cls_token: bool = True,
        drop_path: float = 0.0,
        norm_eps: float = 1e-5,
        checkpointing: bool = False,
        attention: str = "full",
    ) -> None:
        super().__init__()
        if attention not in ("full", "factorised"):
            raise UserError(f"attention is 'full' or 'factorised', not {attention!r}")
        if attention == "factorised" and spatial_dims != 3:
            raise UserError("factorised attention is for volumes: use attention 'full'")
        self.factorised = attention == "factorised"
        sizes = ensure_tuple_rep(img_size, spatial_dims), ensure_tuple_rep(patch_size, spatial_dims)
        self.checkpointing = checkpointing
        self.cls_token = nn.Parameter(torch.zeros(1, 1, hidden_size)) if cls_token else None
        self.leading = int(cls_token)
        self.patch_embedding = PatchEmbedding(in_channels, *sizes, hidden_size, positions, stem)
        rates = torch.linspace(0, drop_path, num_layers).tolist()
        self.blocks = nn.ModuleList(
            SelfAttentionBlock(hidden_size, mlp_dim, num_heads, qkv_bias, rate, norm_eps) for rate in rates
        )
        self.norm = nn.LayerNorm(hidden_size, norm_eps)

    @property
    def grid(self) -> list[int]:
        """Tokens along each axis."""
        return list(self.patch_embedding.grid)

    def forward(self, image: Tensor, visible: Optional[Tensor] = None) -> Tensor:  # noqa: UP045
        """Features of the visible tokens.

        Args:
            image: ``(B, C, *img_size)``.
            visible: token indices ``(B, K)``, or None for all of them.

        Returns:
            ``(B, K, hidden_size)`` in the order of ``visible``; with a class token ``(B, 1 + K, hidden_size)``.
        """
        return self.states(image, [], visible)[-1]

    def states(self, image: Tensor, after: List[int], visible: Optional[Tensor] = None) -> List[Tensor]:  # noqa: UP006, UP045
        """The tokens behind some of the blocks, counted from 1, and the features, as ``forward`` returns them, last."""
        x = self.embed(image, visible)
        depth = self.patch_embedding.grid[-1]
        n_slices = count_slices(visible, depth) if self.factorised and visible is not None else depth
        states: List[Tensor] = []  # noqa: UP006
        for index, block in enumerate(self.blocks):
            along = index % 2 == 1
            grouped = group_tokens(x, self.leading, n_slices, along) if self.factorised else x
            if not torch.jit.is_scripting() and self.checkpointing and self.training:
                grouped = checkpoint(block, grouped, use_reentrant=False)
            else:
                grouped = block(grouped)
            x = ungroup_tokens(grouped, x, self.leading, n_slices, along) if self.factorised else grouped
            if index + 1 in after:
                states.append(x)
        states.append(self.norm(x))
        return states

    def embed(self, image: Tensor, visible: Optional[Tensor]) -> Tensor:  # noqa: UP045
        """Tokens with positions, the class token in front."""
        x = self.patch_embedding(image, visible)
        if self.cls_token is not None:
            x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1).to(x.dtype), x], dim=1)
        return x
