"""Decoders that predict hidden tokens from the features of the visible ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from monai_mae_ext.networks.blocks import CrossAttentionBlock, SelfAttentionBlock
from monai_mae_ext.networks.encoder import position_table
from monai_mae_ext.networks.tokens import gather_tokens

__all__ = ["CrossDecoder", "SelfDecoder"]


class _Decoder(nn.Module):
    """What both decoders share: embedding, mask token, positions, final norm and the linear head.

    Args:
        grid: patches along each axis.
        encoder_size: width of the encoder's features.
        token_size: values in a predicted token, ``C * prod(patch_size)``.
        hidden_size, mlp_dim, num_layers, num_heads, qkv_bias, positions, drop_path, checkpointing: as in the encoder.
        recall: a predicted token that is visible starts from its own features, not from the mask token, as in the MAE
            paper's decoder. Without, it has to find itself among all features by attention.
    """

    block: type[SelfAttentionBlock] | type[CrossAttentionBlock]

    def __init__(
        self,
        grid: Sequence[int],
        encoder_size: int,
        token_size: int,
        hidden_size: int = 512,
        mlp_dim: int = 2048,
        num_layers: int = 8,
        num_heads: int = 16,
        qkv_bias: bool = True,
        positions: str = "sincos",
        drop_path: float = 0.0,
        checkpointing: bool = False,
        recall: bool = False,
    ) -> None:
        super().__init__()
        self.checkpointing, self.recall = checkpointing, recall
        self.embed = nn.Linear(encoder_size, hidden_size)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, hidden_size))
        self.position_embeddings = position_table(grid, hidden_size, positions)
        rates = torch.linspace(0, drop_path, num_layers).tolist()
        self.blocks = nn.ModuleList(self.block(hidden_size, mlp_dim, num_heads, qkv_bias, rate) for rate in rates)
        self.norm = nn.LayerNorm(hidden_size)
        self.head = nn.Linear(hidden_size, token_size)

    def queries(self, seen: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
        """What predictions start from, ``(B, M, hidden_size)``: mask tokens, or what was ``seen (B, K, hidden_size)``.

        Both have their positions added.
        """
        if not self.recall:
            return self.mask_token + gather_tokens(self.position_embeddings, hidden)
        unseen = (self.mask_token + self.position_embeddings).expand(seen.shape[0], -1, -1)
        every = unseen.scatter(1, visible.unsqueeze(-1).expand(-1, -1, seen.shape[2]), seen)
        return gather_tokens(every, hidden)


class SelfDecoder(_Decoder):
    """The MAE paper's decoder: visible tokens and mask tokens attend to each other.

    Attention does not care for order, so visible and mask tokens are simply concatenated, each with its position. Only
    the tokens in ``hidden`` take part: with a subset this is VideoMAE V2's dual masking (arXiv 2303.16727).
    """

    block = SelfAttentionBlock

    def forward(self, features: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
        """Predict the hidden tokens.

        Args:
            features: the encoder's output ``(B, K, E)``, or ``(B, 1 + K, E)`` with a class token in front.
            visible: ``(B, K)`` token indices.
            hidden: ``(B, M)`` token indices.

        Returns:
            ``(B, M, token_size)``.
        """
        x = self.embed(features)
        extra = x.shape[1] - visible.shape[1]
        seen = x[:, extra:] + gather_tokens(self.position_embeddings, visible)
        x = torch.cat([x[:, :extra], seen, self.queries(seen, visible, hidden)], dim=1)
        last = len(self.blocks) - 1
        for index, block in enumerate(self.blocks):
            skip = features.shape[1] if index == last else 0
            if not torch.jit.is_scripting() and self.checkpointing and self.training:
                x = checkpoint(block, x, skip, use_reentrant=False)
            else:
                x = block(x, skip)
        return self.head(self.norm(x))


class CrossDecoder(_Decoder):
    """Queries at the hidden positions attend to the encoder's features (CrossMAE, arXiv 2401.14391).

    The cost grows with the number of predicted tokens, and each prediction is independent of which others are wanted.
    """

    block = CrossAttentionBlock

    def forward(self, features: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
        """Predict the hidden tokens; arguments and result as in ``SelfDecoder.forward``."""
        context = self.embed(features)
        extra = context.shape[1] - visible.shape[1]
        seen = context[:, extra:] + gather_tokens(self.position_embeddings, visible)
        context = torch.cat([context[:, :extra], seen], dim=1)
        x = self.queries(seen, visible, hidden)
        for block in self.blocks:
            if not torch.jit.is_scripting() and self.checkpointing and self.training:
                x = checkpoint(block, x, context, use_reentrant=False)
            else:
                x = block(x, context)
        return self.head(self.norm(x))
