"""Losses."""

from monai_mae_ext.losses.reconstruction import MaskedReconstructionLoss, normalize_tokens, token_statistics

__all__ = ["MaskedReconstructionLoss", "normalize_tokens", "token_statistics"]
