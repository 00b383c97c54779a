"""The same weights and the same tokens in MONAI's networks give the same numbers."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets import MaskedAutoEncoderViT
from torch import Tensor

from monai_mae_ext.networks import MaskedAutoencoder, encoder_weights, gather_tokens, patchify

SIZES = {2: ((32, 48), (8, 16)), 3: ((16, 8, 24), (8, 4, 8))}
N_TOKENS = 12
DECODER_NAMES = {
    "embed": "decoder_embed",
    "position_embeddings": "decoder_pos_embedding",
    "mask_token": "mask_tokens",
    "blocks": "decoder_blocks",
    "head": "decoder_pred",
}


def pair(axes: int, qkv_bias: bool) -> tuple[MaskedAutoencoder, MaskedAutoEncoderViT]:
    """Our network with arbitrary weights, and MONAI's with the same ones."""
    torch.manual_seed(axes)
    img_size, patch_size = SIZES[axes]
    ours = MaskedAutoencoder(
        axes, 2, img_size, patch_size, hidden_size=48, mlp_dim=64, num_layers=2, num_heads=4, decoder_hidden_size=24,
        decoder_mlp_dim=32, decoder_num_layers=3, decoder_num_heads=2, qkv_bias=qkv_bias,
    ).eval()  # fmt: skip
    theirs = MaskedAutoEncoderViT(
        2, img_size, patch_size, hidden_size=48, mlp_dim=64, num_layers=2, num_heads=4, decoder_hidden_size=24,
        decoder_mlp_dim=32, decoder_num_layers=3, decoder_num_heads=2, spatial_dims=axes, qkv_bias=qkv_bias,
    ).eval()  # fmt: skip
    for value in ours.parameters():
        if value.requires_grad:
            value.data += 0.2 * torch.randn_like(value)
    theirs.load_state_dict(monai_weights(ours, theirs), strict=True)
    return ours, theirs


def monai_weights(ours: MaskedAutoencoder, theirs: MaskedAutoEncoderViT) -> dict[str, Tensor]:
    """Our weights under MONAI's names; its unused ``norm_cross_attn`` of the decoder keeps what it has."""
    weights = {name: value for name, value in theirs.state_dict().items() if "norm_cross_attn" in name}
    for name, value in encoder_weights(ours).items():
        weights[name.replace("norm.", "blocks.2.") if name.startswith("norm.") else name] = value
    for name, value in ours.decoder.state_dict().items():
        first, _, rest = name.partition(".")
        target = "decoder_blocks.3" if first == "norm" else DECODER_NAMES[first]
        weights[f"{target}.{rest}".rstrip(".")] = value
    return weights


@pytest.fixture(params=[(axes, qkv_bias) for axes in (2, 3) for qkv_bias in (True, False)], ids=str)
def both(request, monkeypatch):
    """Both networks, an image and its mask; MONAI's random choice of tokens is made to be ours."""
    axes, qkv_bias = request.param
    ours, theirs = pair(axes, qkv_bias)
    order = torch.stack([torch.randperm(N_TOKENS) for _ in range(2)])
    visible, hidden = order[:, :3], order[:, 3:]
    monkeypatch.setattr(torch, "multinomial", lambda *args, **kwargs: visible)
    return ours, theirs, torch.randn(2, 2, *SIZES[axes][0]), visible, hidden


@torch.no_grad()
def test_encoder_features(both):
    ours, theirs, image, visible, _ = both
    features = {}
    theirs.blocks.register_forward_hook(lambda module, inputs, output: features.update(theirs=output))
    theirs(image)
    assert features["theirs"].abs().max() > 1
    torch.testing.assert_close(ours.encoder(image, visible), features["theirs"], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_predictions_of_the_hidden_tokens(both):
    ours, theirs, image, visible, hidden = both
    expected, mask = theirs(image)
    prediction = patchify(ours(image, visible, hidden), ours.patch_size)
    assert gather_tokens(mask.unsqueeze(-1), hidden).all()
    torch.testing.assert_close(gather_tokens(prediction, hidden), gather_tokens(expected, hidden), atol=1e-5, rtol=1e-5)
