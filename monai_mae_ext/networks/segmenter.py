"""Segmentation networks around the masked autoencoder's encoder."""

import math
from collections.abc import Sequence
from typing import List  # noqa: UP035  TorchScript reads the annotation, but no text: no annotations from __future__

from monai.utils import ensure_tuple_rep
from torch import Tensor, nn

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks.encoder import MaskedEncoder
from monai_mae_ext.networks.mae import initialize
from monai_mae_ext.networks.segmentation_decoders import DECODERS, Decoder, DecoderSizes

__all__ = ["ViTSegmenter"]


class ViTSegmenter(nn.Module):
    """A ViT and a convolutional decoder; the ViT takes a pre-trained encoder's weights (see ``load_pretrained``).

    With the decoder ``"unetr"``, without class token, and 12 blocks it is MONAI's ``UNETR``, weight for weight.
    ``facts`` holds the constructor's arguments.

    Args:
        num_classes: outputs, the background among them.
        decoder: ``"unetr"``, ``"light"``, which looks at the last state and the image alone, or ``"head"``, which looks
            at the last state alone.
        features: channels of the decoder at full resolution.
        others: as in ``MaskedEncoder``.

    Raises:
        UserError: for another decoder, or a patch size that it is not for.
    """

    states: List[int]  # noqa: UP006

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
        sizes = DecoderSizes(spatial_dims, in_channels, num_classes, hidden_size, num_layers, patch, features)
        self.decoder: Decoder = DECODERS[decoder](sizes)
        self.states = self.decoder.states
        self.n_tokens = math.prod(self.encoder.grid)

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(B, num_classes, *S)`` of ``image (B, C, *S)``, ``S`` being ``img_size``."""
        states = self.encoder.states(image, self.states)
        maps = [state[:, -self.n_tokens :].transpose(1, 2).unflatten(2, self.encoder.grid) for state in states]
        return self.decoder(image, maps)
