"""From a film to a report: the masked autoencoder's encoder, read by MONAI's text transformer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Optional

import torch
from monai.networks.nets import DecoderOnlyTransformer
from torch import Tensor, nn

from monai_mae_ext.networks.encoder import MaskedEncoder
from monai_mae_ext.networks.standardize import Standardize
from monai_mae_ext.reports.tokenizer import BEGIN

__all__ = ["ReportGenerator"]


class ReportGenerator(nn.Module):
    """A ViT whose patch tokens are the context of an autoregressive transformer (HD X-ray MAE, arXiv 2404.17926).

    That paper's decoder is R2Gen's, with a relational memory; this one is MONAI's ``DecoderOnlyTransformer`` with cross
    attention, without memory. The encoder takes the weights of a pre-trained one (see ``load_pretrained``). Padding
    needs no mask: it stands behind the report, where causal attention does not look. ``facts`` holds the arguments.

    Args:
        vocab_size: tokens the decoder knows; a tokenizer may have fewer.
        max_length: tokens of a report, begin, plan and end among them.
        n_views: films of a study; each is encoded alone, and told apart by a learned vector.
        text_width, text_layers, text_heads: the decoder's.
        text_dropout: of its embeddings.
        standardize: give the decoder each feature of each token as its deviation from that of the films at the same
            place (a batch norm without weights): most of a token is what all films have there.
        others: as in ``MaskedEncoder``.
    """

    def __init__(
        self,
        spatial_dims: int,
        img_size: Sequence[int] | int,
        patch_size: Sequence[int] | int,
        vocab_size: int,
        max_length: int = 60,
        n_views: int = 1,
        hidden_size: int = 768,
        mlp_dim: int = 3072,
        num_layers: int = 12,
        num_heads: int = 12,
        text_width: int = 512,
        text_layers: int = 3,
        text_heads: int = 8,
        text_dropout: float = 0.1,
        standardize: bool = False,
        qkv_bias: bool = True,
        positions: str = "sincos",
        stem: str = "linear",
        cls_token: bool = True,
        drop_path: float = 0.0,
        norm_eps: float = 1e-5,
        checkpointing: bool = False,
        attention: str = "full",
    ) -> None:
        facts = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__()
        self.facts = facts
        self.n_leading = 1 if cls_token else 0
        self.begin = BEGIN
        self.encoder = MaskedEncoder(
            spatial_dims, 1, img_size, patch_size, hidden_size, mlp_dim, num_layers, num_heads,
            qkv_bias, positions, stem, cls_token, drop_path, norm_eps, checkpointing, attention,
        )  # fmt: skip
        n_features = n_views * math.prod(self.encoder.grid) * hidden_size
        self.standardize = Standardize(n_features) if standardize else nn.Identity()
        self.project = nn.Linear(hidden_size, text_width)
        self.views = nn.Parameter(torch.zeros(1, n_views, 1, text_width))
        self.decoder = DecoderOnlyTransformer(
            vocab_size, max_length, text_width, text_layers, text_heads, with_cross_attention=True,
            embedding_dropout_rate=text_dropout, use_flash_attention=True,
        )  # fmt: skip

    def features(self, image: Tensor) -> Tensor:
        """The encoder's patch tokens ``(B, V, N, hidden_size)`` of the V views, ``(B, V, *img_size)``."""
        batch, views = image.shape[0], image.shape[1]
        tokens = self.encoder(image.flatten(0, 1).unsqueeze(1))[:, self.n_leading :]
        return tokens.reshape(batch, views, tokens.shape[1], tokens.shape[2])

    def context(self, features: Tensor) -> Tensor:
        """What the decoder looks at, ``(B, V * N, text_width)``."""
        features = self.standardize(features.flatten(1)).reshape(features.shape)
        return (self.project(features) + self.views).flatten(1, 2)

    def forward(self, image: Tensor, tokens: Optional[Tensor] = None) -> Tensor:  # noqa: UP045
        """Logits ``(B, T, vocab_size)`` of the token behind each of ``tokens (B, T)``; None: begin."""
        if tokens is None:
            tokens = torch.full([image.shape[0], 1], self.begin, dtype=torch.int64, device=image.device)
        return self.decoder(tokens, self.context(self.features(image)))
