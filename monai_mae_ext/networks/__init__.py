"""Networks: token functions, the masked autoencoder and its parts, moving weights."""

from monai_mae_ext.networks.baselines import BaselineAutoencoder
from monai_mae_ext.networks.classifier import ViTClassifier
from monai_mae_ext.networks.decoders import CrossDecoder, SelfDecoder
from monai_mae_ext.networks.encoder import MaskedEncoder
from monai_mae_ext.networks.export import encoder_weights, load_encoder, save_encoder
from monai_mae_ext.networks.foreign import Pretrained, own_names
from monai_mae_ext.networks.mae import MaskedAutoencoder, random_twin
from monai_mae_ext.networks.report import ReportGenerator
from monai_mae_ext.networks.segmenter import ViTSegmenter
from monai_mae_ext.networks.tokens import gather_tokens, patchify, scatter_tokens, token_grid, unpatchify
from monai_mae_ext.networks.transfer import TransferReport, resize_positions, transfer_encoder

__all__ = [
    "BaselineAutoencoder",
    "CrossDecoder",
    "MaskedAutoencoder",
    "MaskedEncoder",
    "Pretrained",
    "ReportGenerator",
    "SelfDecoder",
    "TransferReport",
    "ViTClassifier",
    "ViTSegmenter",
    "encoder_weights",
    "gather_tokens",
    "load_encoder",
    "own_names",
    "patchify",
    "random_twin",
    "resize_positions",
    "save_encoder",
    "scatter_tokens",
    "token_grid",
    "transfer_encoder",
    "unpatchify",
]
