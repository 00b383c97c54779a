"""The masked autoencoder as its paper's code writes it, in torch's own layers: what a user would write by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PlainMAE"]


class PlainMAE(nn.Module):
    """MAE (He et al., arXiv 2111.06377): all patches are embedded, three quarters dropped, all of them decoded.

    Layers are torch's ``TransformerEncoderLayer`` with fused attention, positions are learned.

    Args:
        img_size, patch_size, spatial_dims, in_channels: of the images.
        masking_ratio: share of the tokens that is hidden.
        others: sizes of encoder and decoder.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        img_size: int,
        patch_size: int,
        hidden_size: int,
        mlp_dim: int,
        num_layers: int,
        num_heads: int,
        decoder_hidden_size: int,
        decoder_mlp_dim: int,
        decoder_num_layers: int,
        decoder_num_heads: int,
        masking_ratio: float = 0.75,
    ) -> None:
        super().__init__()
        tokens, patch = (img_size // patch_size) ** spatial_dims, in_channels * patch_size**spatial_dims
        self.n_visible = round(tokens * (1 - masking_ratio))
        convolution = nn.Conv2d if spatial_dims == 2 else nn.Conv3d
        self.embed = convolution(in_channels, hidden_size, patch_size, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, hidden_size))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_hidden_size))
        self.positions = nn.Parameter(torch.randn(1, tokens, hidden_size) * 0.02)
        self.decoder_positions = nn.Parameter(torch.randn(1, 1 + tokens, decoder_hidden_size) * 0.02)
        self.encoder = transformer(hidden_size, mlp_dim, num_layers, num_heads)
        self.decoder_embed = nn.Linear(hidden_size, decoder_hidden_size)
        self.decoder = transformer(decoder_hidden_size, decoder_mlp_dim, decoder_num_layers, decoder_num_heads)
        self.predict = nn.Linear(decoder_hidden_size, patch)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Predicted patches ``(B, N, P)`` of ``image (B, C, *img_size)``, and 1 where a token was hidden ``(B, N)``."""
        tokens = self.embed(image).flatten(2).transpose(1, 2) + self.positions
        batch, count, width = tokens.shape
        order = torch.rand(batch, count, device=image.device).argsort(dim=1)
        back = order.argsort(dim=1)
        visible = tokens.gather(1, order[:, : self.n_visible, None].expand(-1, -1, width))
        encoded = self.decoder_embed(self.encoder(torch.cat([self.cls_token.expand(batch, -1, -1), visible], dim=1)))
        masks = self.mask_token.expand(batch, count - self.n_visible, -1)
        whole = torch.cat([encoded[:, 1:], masks], dim=1)
        whole = whole.gather(1, back[..., None].expand(-1, -1, whole.shape[-1]))
        decoded = self.decoder(torch.cat([encoded[:, :1], whole], dim=1) + self.decoder_positions)
        return self.predict(decoded[:, 1:]), (back >= self.n_visible).float()


def transformer(width: int, mlp_dim: int, layers: int, heads: int) -> nn.TransformerEncoder:
    """Pre-norm blocks and a last norm."""
    layer = nn.TransformerEncoderLayer(width, heads, mlp_dim, 0.0, "gelu", batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
