"""The masked autoencoder's loss: mean squared error of the predicted tokens, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from monai.utils import ensure_tuple_rep
from torch import Tensor
from torch.nn.modules.loss import _Loss

from monai_mae_ext.networks.tokens import gather_tokens, patchify

__all__ = ["MaskedReconstructionLoss", "hidden_tokens", "normalize_tokens", "token_statistics"]


def token_statistics(tokens: Tensor, eps: float = 1e-6) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation ``(..., 1)`` of each token's values (all channels as one; biased variance + eps)."""
    variance, mean = torch.var_mean(tokens, dim=-1, keepdim=True, unbiased=False)
    return mean, (variance + eps).sqrt()


def normalize_tokens(tokens: Tensor) -> Tensor:
    """Give each token ``(..., D)`` mean 0 and variance 1 (MAE, section 4.1, "normalized pixels")."""
    mean, std = token_statistics(tokens)
    return (tokens - mean) / std


def hidden_tokens(image: Tensor, hidden: Tensor, patch_size: Sequence[int] | int) -> Tensor:
    """The tokens of ``image (B, C, *S)`` at ``hidden (B, M)``: ``(B, M, C * prod(patch_size))``."""
    return gather_tokens(patchify(image, list(ensure_tuple_rep(patch_size, image.ndim - 2))), hidden)


class MaskedReconstructionLoss(_Loss):
    """Mean squared error on the hidden tokens, computed in float32 outside autocast.

    Args:
        patch_size: token size in voxels; one number or one an axis.
        normalize_targets: compare with per-patch-normalised targets ("norm_pix" in the MAE paper), not raw values.
        reduction: ``"mean"`` for one number, ``"none"`` for one a sample, ``(B,)``.
    """

    def __init__(
        self, patch_size: Sequence[int] | int, normalize_targets: bool = True, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.patch_size = patch_size
        self.normalize_targets = normalize_targets

    def forward(self, prediction: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Loss of a batch.

        Args:
            prediction: ``(B, C, *S)`` from ``MaskedAutoencoder``.
            target: ``image (B, C, *S)`` and ``hidden (B, M)``; with ``valid (B, 1, *S)`` of 0 and 1 only voxels of
                1 count (padding does not). A sample without any has loss 0.
        """
        with torch.autocast(prediction.device.type, enabled=False):
            predicted = hidden_tokens(prediction.float(), target["hidden"], self.patch_size)
            wanted = hidden_tokens(target["image"].float(), target["hidden"], self.patch_size)
            if self.normalize_targets:
                wanted = normalize_tokens(wanted)
            error = F.mse_loss(predicted, wanted, reduction="none")
            if "valid" in target:
                valid = target["valid"].float().expand_as(target["image"])
                counts = hidden_tokens(valid, target["hidden"], self.patch_size)
                error = (error * counts).sum(dim=(1, 2)) / counts.sum(dim=(1, 2)).clamp(min=1)
            else:
                error = error.mean(dim=(1, 2))
        return error.mean() if self.reduction == "mean" else error
