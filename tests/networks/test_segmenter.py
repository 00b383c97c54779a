from __future__ import annotations

import pytest
import torch
from monai.networks.nets import UNETR

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks import MaskedAutoencoder, ViTSegmenter, save_encoder
from monai_mae_ext.optim import layer_decay_groups
from monai_mae_ext.weights import load_pretrained

SMALL = {"hidden_size": 24, "mlp_dim": 48, "num_heads": 2}
LIGHT = {**SMALL, "num_layers": 2, "decoder": "light", "features": 4}


def test_with_the_unetr_decoder_it_is_monais_unetr_weight_for_weight() -> None:
    torch.manual_seed(0)
    ours = ViTSegmenter(3, 2, 32, 16, 5, num_layers=12, decoder="unetr", features=4, cls_token=False, **SMALL).eval()
    theirs = UNETR(2, 5, (32, 32, 32), feature_size=4, proj_type="conv", qkv_bias=True, **SMALL).eval()
    weights = theirs.state_dict()
    for name, value in ours.state_dict().items():
        name = name.replace("decoder.", "", 1) if name.startswith("decoder.") else name.replace("encoder.", "vit.", 1)
        assert weights[name].shape == value.shape
        weights[name] = value
    theirs.load_state_dict(weights)
    image = torch.rand(2, 2, 32, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(image), theirs(image), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("patch", "dims"), [(2, 3), (8, 3), (4, 2)])
def test_the_light_decoder_ends_at_the_images_size_and_every_weight_learns(patch: int, dims: int) -> None:
    torch.manual_seed(0)
    network = ViTSegmenter(dims, 1, 2 * patch, patch, 3, **LIGHT)
    logits = network(torch.rand(2, 1, *[2 * patch] * dims))
    assert logits.shape == (2, 3, *[2 * patch] * dims)
    logits.square().mean().backward()
    silent = [name for name, weight in network.named_parameters() if weight.requires_grad and weight.grad is None]
    assert not silent


@pytest.mark.parametrize("patch", [2, 4, 8])
def test_unetrs_decoder_fits_small_tokens_and_every_weight_learns(patch: int) -> None:
    torch.manual_seed(0)
    network = ViTSegmenter(3, 1, 2 * patch, patch, 3, **LIGHT | {"decoder": "unetr", "num_layers": 3})
    logits = network(torch.rand(2, 1, *[2 * patch] * 3))
    assert logits.shape == (2, 3, *[2 * patch] * 3)
    logits.square().mean().backward()
    assert not [name for name, weight in network.named_parameters() if weight.requires_grad and weight.grad is None]


def test_the_token_head_sees_features_alone_whatever_their_scale() -> None:
    torch.manual_seed(0)
    network = ViTSegmenter(3, 1, 8, (4, 4, 2), 3, **LIGHT | {"decoder": "head"})
    maps = [torch.rand(2, LIGHT.get("hidden_size", SMALL["hidden_size"]), 2, 2, 4)]
    image = torch.rand(2, 1, 8, 8, 8)
    logits = network.decoder(image, maps)
    assert logits.shape == (2, 3, 8, 8, 8)
    torch.testing.assert_close(network.decoder(torch.zeros_like(image), [7 * maps[0] + 1]), logits, atol=1e-3, rtol=0)


def test_places_of_tokens_are_kept() -> None:
    """Without the image's own look, only the tokens' map can tell the decoder where a change is."""
    torch.manual_seed(0)
    network = ViTSegmenter(3, 1, (16, 16, 8), 4, 2, **LIGHT).eval()
    seen = []
    network.decoder.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[1][-1]))
    image = torch.zeros(1, 1, 16, 16, 8)
    with torch.no_grad():
        network(image)
        image[..., 12:16, 0:4, 4:8] = 1
        network(image)
    change = (seen[1] - seen[0]).abs().sum(1)[0]
    assert change.shape == (4, 4, 2)
    assert torch.nonzero(change == change.max()).tolist() == [[3, 0, 1]]


def test_a_pretrained_encoder_of_another_grid_fits(tmp_path, capsys) -> None:
    mae = MaskedAutoencoder(3, 1, 16, 4, num_layers=2, decoder_hidden_size=24, decoder_mlp_dim=24,
                            decoder_num_layers=1, decoder_num_heads=2, **SMALL)  # fmt: skip
    save_encoder(mae, tmp_path / "encoder.safetensors")
    network = ViTSegmenter(3, 1, 24, 4, 3, **LIGHT)
    load_pretrained(network.encoder, tmp_path / "encoder.safetensors")
    assert torch.equal(network.encoder.blocks[1].attn.qkv.weight, mae.encoder.blocks[1].attn.qkv.weight)
    assert "interpolated" in capsys.readouterr().out


def test_layer_decay_reaches_the_encoder_and_spares_the_decoder() -> None:
    groups = layer_decay_groups(ViTSegmenter(3, 1, 8, 4, 3, **LIGHT), lr=1.0, layer_decay=0.5)
    assert sorted({group["lr"] for group in groups}) == [0.125, 0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decoder": "heavy"}, r"decoder is one of \['head', 'light', 'unetr'\]"),
        ({"decoder": "unetr", "patch_size": 6, "img_size": 12}, "unetr decoder needs cubic patches of 2, 4, 8"),
        ({"decoder": "unetr", "patch_size": 8}, "needs 3 blocks or more for patches of 8, not 2"),
        ({"patch_size": 6, "img_size": 12}, "cubic patches of 2, 4, 8"),
        ({"patch_size": (4, 4, 2)}, "cubic patches"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict, message: str) -> None:
    arguments = {"spatial_dims": 3, "in_channels": 1, "img_size": 8, "patch_size": 4, "num_classes": 2, **LIGHT}
    with pytest.raises(UserError, match=message):
        ViTSegmenter(**arguments | changes)
