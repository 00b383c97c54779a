"""Losses."""

from monai_mae_ext.losses.autoencoder import AutoencoderLoss
from monai_mae_ext.losses.multilabel import MultiLabelLoss, positive_weights
from monai_mae_ext.losses.reconstruction import MaskedReconstructionLoss, normalize_tokens, token_statistics
from monai_mae_ext.losses.report import ReportLoss

__all__ = [
    "AutoencoderLoss",
    "MaskedReconstructionLoss",
    "MultiLabelLoss",
    "ReportLoss",
    "normalize_tokens",
    "positive_weights",
    "token_statistics",
]
