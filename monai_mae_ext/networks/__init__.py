"""Networks: token functions, the masked autoencoder and its parts, moving weights."""

from monai_mae_ext.networks.decoders import CrossDecoder, SelfDecoder
from monai_mae_ext.networks.encoder import MaskedEncoder
from monai_mae_ext.networks.export import encoder_weights, load_encoder, save_encoder
from monai_mae_ext.networks.mae import MaskedAutoencoder
from monai_mae_ext.networks.tokens import gather_tokens, patchify, scatter_tokens, token_grid, unpatchify

__all__ = [
    "CrossDecoder",
    "MaskedAutoencoder",
    "MaskedEncoder",
    "SelfDecoder",
    "encoder_weights",
    "gather_tokens",
    "load_encoder",
    "patchify",
    "save_encoder",
    "scatter_tokens",
    "token_grid",
    "unpatchify",
]
