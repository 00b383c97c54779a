"""A ViT classifier around the masked autoencoder's encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from torch import Tensor, nn

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks.encoder import MaskedEncoder
from monai_mae_ext.networks.mae import initialize
from monai_mae_ext.networks.standardize import Standardize

__all__ = ["ViTClassifier"]

HEAD_STD = 2e-5  # the original MAE's fine-tuning: the first predictions are undecided


class ViTClassifier(nn.Module):
    """ViT with a linear head; its encoder takes the weights of a pre-trained one (see ``load_pretrained``).

    Unlike MONAI's ``ViT(classification=True)`` it pools by mean or class token, has drop path and no tanh behind its
    head, and can leave tokens out, which ``token_occlusion`` uses. ``facts`` holds the constructor's arguments.

    Args:
        num_classes: outputs.
        pooling: ``"mean"`` of the patch tokens, or ``"cls"``, the class token.
        standardize: put a batch norm without weights before the head, as linear probes need it (MAE, arXiv 2111.06377,
            appendix A.1): the features' scale says nothing about their worth.
        others: as in ``MaskedEncoder``.

    Raises:
        UserError: for another pooling, or ``"cls"`` without class token.
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
        pooling: str = "mean",
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
        if pooling not in ("mean", "cls"):
            raise UserError(f"pooling is 'mean' or 'cls', not {pooling!r}")
        if pooling == "cls" and not cls_token:
            raise UserError("pooling 'cls' needs cls_token true: or pool by 'mean'")
        self.n_leading = 1 if cls_token else 0
        self.pool_cls = pooling == "cls"
        self.encoder = MaskedEncoder(
            spatial_dims, in_channels, img_size, patch_size, hidden_size, mlp_dim, num_layers, num_heads,
            qkv_bias, positions, stem, cls_token, drop_path, norm_eps, checkpointing, attention,
        )  # fmt: skip
        self.standardize = Standardize(hidden_size) if standardize else nn.Identity()
        self.head = nn.Linear(hidden_size, num_classes)
        self.apply(initialize)
        nn.init.trunc_normal_(self.head.weight, std=HEAD_STD)

    def features(self, image: Tensor, visible: Optional[Tensor] = None) -> Tensor:  # noqa: UP045
        """Pooled features ``(B, hidden_size)`` of ``(B, C, *img_size)``, or of its ``visible`` tokens alone."""
        tokens = self.encoder(image, visible)
        return tokens[:, 0] if self.pool_cls else tokens[:, self.n_leading :].mean(dim=1)

    def forward(self, image: Tensor, visible: Optional[Tensor] = None) -> Tensor:  # noqa: UP045
        """Logits ``(B, num_classes)``; arguments as in ``features``."""
        return self.head(self.standardize(self.features(image, visible)))
