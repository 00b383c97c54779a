from __future__ import annotations

import os
import stat

import pytest
import torch
from monai.networks.nets import UNETR, ViT
from safetensors.torch import save_file

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks import MaskedAutoencoder, encoder_weights, load_encoder, save_encoder

SMALL = {"hidden_size": 48, "mlp_dim": 64, "num_heads": 4}
DECODER = {"decoder_hidden_size": 24, "decoder_mlp_dim": 32, "decoder_num_layers": 1, "decoder_num_heads": 2}
SIZES = {2: ((32, 48), 16), 3: ((32, 16, 48), (16, 16, 8))}


def network(axes: int, **options: object) -> MaskedAutoencoder:
    torch.manual_seed(axes)
    net = MaskedAutoencoder(axes, 2, *SIZES[axes], num_layers=2, **SMALL, **DECODER, **options).eval()
    for value in net.parameters():
        if value.requires_grad:
            value.data += 0.2 * torch.randn_like(value)
    return net


def vit(axes: int, **options: object) -> ViT:
    return ViT(2, *SIZES[axes], num_layers=2, spatial_dims=axes, **SMALL, **options).eval()


@torch.no_grad()
@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("positions", ["sincos", "learnable"])
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_loads_strictly_into_a_vit_and_gives_the_same_features(axes, positions, qkv_bias):
    net = network(axes, positions=positions, qkv_bias=qkv_bias, cls_token=False)
    target = vit(axes, pos_embed_type=positions, qkv_bias=qkv_bias)
    target.load_state_dict(encoder_weights(net), strict=True)
    image = torch.randn(2, 2, *SIZES[axes][0])
    torch.testing.assert_close(target(image)[0], net.encoder(image), atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("axes", [2, 3])
def test_a_classifying_vit_misses_only_its_head_and_sees_the_same_class_token(axes):
    net = network(axes)
    target = vit(axes, classification=True, qkv_bias=True, pos_embed_type="sincos")
    keys = target.load_state_dict(encoder_weights(net), strict=False)
    assert keys.unexpected_keys == []
    assert {key.split(".")[0] for key in keys.missing_keys} == {"classification_head"}
    target.classification_head = torch.nn.Identity()
    image = torch.randn(2, 2, *SIZES[axes][0])
    torch.testing.assert_close(target(image)[0], net.encoder(image)[:, 0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_loads_strictly_into_unetr():
    torch.manual_seed(0)
    size = (32, 16, 48)
    net = MaskedAutoencoder(3, 2, size, 16, num_layers=12, cls_token=False, **SMALL, **DECODER).eval()
    target = UNETR(2, 3, size, feature_size=4, qkv_bias=True, **SMALL).eval()
    target.vit.load_state_dict(encoder_weights(net), strict=True)
    image = torch.randn(1, 2, *size)
    torch.testing.assert_close(target.vit(image)[0], net.encoder(image), atol=1e-5, rtol=1e-5)
    assert target(image).shape == (1, 3, *size)


def test_the_class_token_can_be_left_out_but_not_made_up():
    with_token, without = network(2), network(2, cls_token=False)
    assert "cls_token" in encoder_weights(with_token)
    assert encoder_weights(with_token, cls_token=False).keys() == encoder_weights(without).keys()
    assert encoder_weights(without, cls_token=False).keys() == vit(2, qkv_bias=True).state_dict().keys()
    with pytest.raises(UserError, match="no class token to export"):
        encoder_weights(without, cls_token=True)


def test_the_unused_norm_of_monais_blocks_is_the_identity():
    weights = encoder_weights(network(2))
    for index in range(2):
        assert (weights[f"blocks.{index}.norm_cross_attn.weight"] == 1).all()
        assert (weights[f"blocks.{index}.norm_cross_attn.bias"] == 0).all()


def test_exporting_leaves_the_network_as_it_was():
    net = network(2)
    keys = list(net.state_dict())
    encoder_weights(net, cls_token=False)
    assert list(net.state_dict()) == keys


def test_a_saved_encoder_comes_back_with_the_facts_of_its_network(tmp_path):
    net = network(3, cls_token=False)
    save_encoder(net, tmp_path / "new" / "encoder.safetensors")
    weights, facts = load_encoder(tmp_path / "new" / "encoder.safetensors")
    torch.testing.assert_close(weights, encoder_weights(net), atol=0, rtol=0)
    twin = MaskedAutoencoder(**facts)
    assert encoder_weights(twin).keys() == weights.keys()
    assert twin.img_size == net.img_size
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["encoder.safetensors"]


@pytest.mark.skipif(os.name != "posix", reason="umask is POSIX")
def test_others_may_read_a_saved_encoder_if_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        save_encoder(network(2), tmp_path / "encoder.safetensors")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "encoder.safetensors").stat().st_mode) == 0o644


def test_a_missing_or_foreign_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no encoder at .*missing.safetensors"):
        load_encoder(tmp_path / "missing.safetensors")
    (tmp_path / "text.safetensors").write_text("not tensors")
    save_file({"weight": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    save_file({"weight": torch.zeros(2)}, tmp_path / "pt.safetensors", metadata={"format": "pt"})
    for name in ("text", "foreign", "pt"):
        with pytest.raises(UserError, match=f"{name}.safetensors is not an encoder that save_encoder wrote"):
            load_encoder(tmp_path / f"{name}.safetensors")
