"""MONAI's text transformer, one token at a time: what was computed for earlier tokens is kept."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from monai.networks.nets import DecoderOnlyTransformer
from torch import Tensor

__all__ = ["CachedDecoder"]


class CachedDecoder:
    """Keys and values of a ``DecoderOnlyTransformer`` with cross attention, for B images and K texts of each.

    The context's are computed once for all texts of an image: to cross attention these are K queries beside each other.

    Args:
        decoder: in evaluation mode; with separate projections (``use_combined_linear=False``).
        context: ``(B, N, D)``.
    """

    def __init__(self, decoder: DecoderOnlyTransformer, context: Tensor) -> None:
        self.decoder = decoder
        self.blocks: list[Any] = list(decoder.blocks)
        self.context = [
            (split_heads(block.cross_attn.to_k(context), block.cross_attn.num_heads),
             split_heads(block.cross_attn.to_v(context), block.cross_attn.num_heads))
            for block in self.blocks
        ]  # fmt: skip
        self.past: list[tuple[Tensor, Tensor] | None] = [None] * len(self.blocks)
        self.length = 0

    def step(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Append a token to each text.

        Args:
            tokens: ``(B, K)``.

        Returns:
            Logits of the next token ``(B, K, vocab_size)``, and how much each text looks at each token of the context
            meanwhile ``(B, K, N)``: cross attention, the mean over heads and layers.
        """
        decoder = self.decoder
        x = decoder.token_embeddings(tokens) + decoder.position_embeddings.embedding.weight[self.length]
        attentions = []
        for number, block in enumerate(self.blocks):
            x = x + self.attend_to_past(number, block.norm1(x))
            update, attention = self.attend_to_context(number, block.norm_cross_attn(x))
            x = x + update
            x = x + block.mlp(block.norm2(x))
            attentions.append(attention)
        self.length += 1
        return decoder.to_logits(x), torch.stack(attentions).mean(0)

    def attend_to_past(self, number: int, x: Tensor) -> Tensor:
        """Self-attention of the newest token of each text, ``(B, K, D)``, to itself and those before."""
        attention = self.blocks[number].attn
        flat = x.reshape(-1, 1, x.shape[-1])
        query, key, value = (
            split_heads(project(flat), attention.num_heads)
            for project in (attention.to_q, attention.to_k, attention.to_v)
        )
        if (past := self.past[number]) is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        self.past[number] = key, value
        out = F.scaled_dot_product_attention(query, key, value, scale=attention.scale)
        return attention.out_proj(join_heads(out)).reshape(x.shape)

    def attend_to_context(self, number: int, x: Tensor) -> tuple[Tensor, Tensor]:
        attention = self.blocks[number].cross_attn
        key, value = self.context[number]
        query = split_heads(attention.to_q(x), attention.num_heads)
        weights = (query @ key.transpose(-2, -1) * attention.scale).softmax(dim=-1)
        return attention.out_proj(join_heads(weights @ value)), weights.mean(1)

    def reorder(self, parents: Tensor) -> None:
        """Go on with other texts: the k-th of an image becomes what its ``parents[:, k]``-th was, ``(B, K)``."""
        batch, texts = parents.shape
        rows = (parents + texts * torch.arange(batch, device=parents.device)[:, None]).flatten()
        self.past = [past and (past[0][rows], past[1][rows]) for past in self.past]


def split_heads(x: Tensor, heads: int) -> Tensor:
    """``(B, T, D)`` to ``(B, heads, T, D / heads)``."""
    return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)
