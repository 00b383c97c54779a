"""Transformer blocks with the weight names of MONAI's ``TransformerBlock``, with fused attention and drop path.

MONAI's own block is not used as it stands: it has no drop path, applies attention dropout in evaluation, and carries a
``norm_cross_attn`` that never gets a gradient (which stops DDP). Layer norms have MONAI's epsilon by default (1e-5, as
in torch), so that an exported encoder gives the same features inside MONAI's ``ViT``; timm and the MAE paper have 1e-6.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["CrossAttentionBlock", "SelfAttentionBlock"]


class SelfAttention(nn.Module):
    """Multi-head self-attention, ``(B, N, D)`` to ``(B, N, D)``."""

    def __init__(self, hidden_size: int, num_heads: int, qkv_bias: bool = True) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size, bias=qkv_bias)
        self.out_proj = nn.Linear(hidden_size, hidden_size)

    def forward(self, x: Tensor, skip: int = 0) -> Tensor:
        """Attend to all tokens; the first ``skip`` get no output, which is then ``(B, N - skip, D)``."""
        batch, tokens, width = x.shape
        query, key, value = [
            part.reshape(batch, tokens, self.num_heads, width // self.num_heads).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=-1)
        ]
        out = F.scaled_dot_product_attention(query[:, :, skip:], key, value)
        return self.out_proj(out.transpose(1, 2).reshape(batch, tokens - skip, width))


class CrossAttention(nn.Module):
    """Multi-head attention of queries ``(B, M, D)`` to a context ``(B, K, D)``, giving ``(B, M, D)``."""

    def __init__(self, hidden_size: int, num_heads: int, qkv_bias: bool = True) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.to_q = nn.Linear(hidden_size, hidden_size, bias=qkv_bias)
        self.to_kv = nn.Linear(hidden_size, 2 * hidden_size, bias=qkv_bias)
        self.out_proj = nn.Linear(hidden_size, hidden_size)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        batch, queries, width = x.shape
        head = width // self.num_heads
        query = self.to_q(x).reshape(batch, queries, self.num_heads, head).transpose(1, 2)
        key, value = [
            part.reshape(batch, context.shape[1], self.num_heads, head).transpose(1, 2)
            for part in self.to_kv(context).chunk(2, dim=-1)
        ]
        out = F.scaled_dot_product_attention(query, key, value)
        return self.out_proj(out.transpose(1, 2).reshape(batch, queries, width))


class MLP(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, hidden_size: int, mlp_dim: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(hidden_size, mlp_dim)
        self.linear2 = nn.Linear(mlp_dim, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear2(F.gelu(self.linear1(x)))


class DropPath(nn.Module):
    """Drop a residual branch for whole samples (stochastic depth); MONAI's layer of this name cannot be scripted."""

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if self.rate == 0.0 or not self.training:
            return x
        keep = 1.0 - self.rate
        return x * torch.empty([x.shape[0], 1, 1], dtype=x.dtype, device=x.device).bernoulli_(keep).div_(keep)


class SelfAttentionBlock(nn.Module):
    """Pre-norm transformer block, ``(B, N, D)`` to ``(B, N, D)``, or to ``(B, N - skip, D)``.

    The first ``skip`` tokens then serve as context alone: in a decoder's last block nobody reads the visible ones.
    """

    def __init__(
        self,
        hidden_size: int,
        mlp_dim: int,
        num_heads: int,
        qkv_bias: bool = True,
        drop_path: float = 0.0,
        norm_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(hidden_size, norm_eps)
        self.attn = SelfAttention(hidden_size, num_heads, qkv_bias)
        self.norm2 = nn.LayerNorm(hidden_size, norm_eps)
        self.mlp = MLP(hidden_size, mlp_dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, skip: int = 0) -> Tensor:
        x = x[:, skip:] + self.drop_path(self.attn(self.norm1(x), skip))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class CrossAttentionBlock(nn.Module):
    """Pre-norm block of a cross-attention decoder (CrossMAE, arXiv 2401.14391): no self-attention among the queries."""

    def __init__(
        self, hidden_size: int, mlp_dim: int, num_heads: int, qkv_bias: bool = True, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(hidden_size)
        self.norm_context = nn.LayerNorm(hidden_size)
        self.attn = CrossAttention(hidden_size, num_heads, qkv_bias)
        self.norm2 = nn.LayerNorm(hidden_size)
        self.mlp = MLP(hidden_size, mlp_dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x), self.norm_context(context)))
        return x + self.drop_path(self.mlp(self.norm2(x)))
