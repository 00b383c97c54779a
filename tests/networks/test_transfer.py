from __future__ import annotations

import pytest
import torch
from monai.networks.nets import ViT
from safetensors.torch import save_file

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks import (
    MaskedAutoencoder,
    MaskedEncoder,
    ViTClassifier,
    own_names,
    resize_positions,
    save_encoder,
    transfer_encoder,
)
from monai_mae_ext.networks.encoder import position_table
from monai_mae_ext.weights import load_pretrained, start_from

SMALL = {"hidden_size": 48, "mlp_dim": 64, "num_layers": 2, "num_heads": 4}
DECODER = {"decoder_hidden_size": 24, "decoder_mlp_dim": 32, "decoder_num_layers": 1, "decoder_num_heads": 2}


def autoencoder(img_size=64, in_channels=1, axes=2, **options) -> MaskedAutoencoder:
    torch.manual_seed(0)
    net = MaskedAutoencoder(axes, in_channels, img_size, 16, **(SMALL | DECODER | options)).eval()
    for parameter in net.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return net


def encoder(img_size=64, in_channels=1, axes=2, **options) -> MaskedEncoder:
    return MaskedEncoder(axes, in_channels, img_size, 16, **(SMALL | options)).eval()


def fates_of(report, fate: str) -> list[str]:
    return [key for key, (what, _) in report.fates.items() if what == fate]


@torch.no_grad()
@pytest.mark.parametrize("form", ["exported", "training", "model"])
def test_the_same_network_gives_the_same_features(form, tmp_path, capsys):
    source, target = autoencoder(), ViTClassifier(2, 1, 64, 16, 3, **SMALL).eval()
    path = tmp_path / ("encoder.safetensors" if form == "exported" else "model.pt")
    if form == "exported":
        save_encoder(source, path)
    elif form == "training":
        torch.save({"facts": source.facts, "network": source.state_dict(), "epoch": 3}, path)
    else:
        torch.save(source.state_dict(), path)
    report = load_pretrained(target.encoder, path)
    image = torch.randn(2, 1, 64, 64)
    assert torch.equal(target.encoder(image), source.encoder(image))
    assert set(fates_of(report, "loaded")) == set(target.encoder.state_dict())
    assert str(path) in capsys.readouterr().out


@torch.no_grad()
def test_a_vit_of_monai_gives_its_features():
    torch.manual_seed(1)
    source = ViT(1, 64, 16, **SMALL, qkv_bias=True, spatial_dims=2).eval()
    target = encoder(cls_token=False)
    report = transfer_encoder(target, own_names(source.state_dict()))
    image = torch.randn(2, 1, 64, 64)
    assert (target(image) - source(image)[0]).abs().max() < 1e-5
    assert not report.notes


@torch.no_grad()
@pytest.mark.parametrize(("channels", "other"), [(3, 1), (1, 4), (4, 2)])
def test_equal_channels_give_what_they_gave_before(channels, other):
    source, target = autoencoder(in_channels=channels), encoder(in_channels=other)
    report = transfer_encoder(target, own_names(source.state_dict()))
    image = torch.randn(2, 1, 64, 64)
    before = source.encoder(image.expand(-1, channels, -1, -1))
    assert (target(image.expand(-1, other, -1, -1) * channels / channels) - before).abs().max() < 1e-4
    assert report.fates["patch_embedding.patch_embeddings.weight"] == ("adapted", f"{channels} -> {other} channels")


@pytest.mark.parametrize(("grid", "other"), [((14, 14), (80, 80)), ((4, 6), (5, 3)), ((8, 8, 6), (12, 12, 8))])
def test_positions_of_a_smooth_table_survive_the_way_there_and_back(grid, other):
    axes = torch.meshgrid(*[torch.linspace(-1, 1, side) for side in grid], indexing="ij")
    table = torch.stack([sum(axes), *axes], dim=-1).flatten(0, -2)[None]
    there = resize_positions(table, grid, other)
    assert there.shape == (1, torch.tensor(other).prod(), table.shape[2])
    back = resize_positions(there, other, grid)
    assert (back - table).abs().mean() < 0.12
    assert resize_positions(torch.ones_like(table), grid, other).allclose(torch.ones(1))
    if min(o / g for o, g in zip(other, grid, strict=True)) > 1:
        assert (back - table).abs().mean() < 0.02


def test_positions_go_from_224_to_1280_pixels_and_back():
    table = position_table([14, 14], 192, "sincos").data
    there = resize_positions(table, [14, 14], [80, 80])
    back = resize_positions(there, [80, 80], [14, 14])
    assert torch.cosine_similarity(back, table, dim=-1).min() > 0.999
    corners, far = [0, 13, 182, 195], [0, 79, 6320, 6399]
    assert torch.cosine_similarity(there[0, far], table[0, corners], dim=-1).min() > 0.95


@pytest.mark.parametrize("sizes", [(64, 128), (128, 64), ((32, 96), 64)])
def test_another_image_size_is_interpolated_and_said_so(sizes):
    source = autoencoder(sizes[0])
    target = encoder(sizes[1])
    report = transfer_encoder(target, own_names(source.state_dict(), source.facts))
    assert fates_of(report, "interpolated") == ["patch_embedding.position_embeddings"]
    assert len(fates_of(report, "unused")) == len(source.decoder.state_dict())
    assert "patch_embedding.position_embeddings" in str(report)


def test_a_class_token_that_the_source_lacks_stays_fresh():
    source, target = autoencoder(cls_token=False), encoder()
    before = target.cls_token.clone()
    report = transfer_encoder(target, own_names(source.state_dict()))
    assert fates_of(report, "fresh") == ["cls_token"]
    assert torch.equal(target.cls_token, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": 3}, "blocks.2.*num_layers"),
        ({"num_layers": 1}, "blocks.1.*num_layers"),
        ({"qkv_bias": False}, "qkv.bias.*qkv_bias"),
        ({"hidden_size": 24}, "(48.*24)"),
        ({"axes": 3}, "2-D images, the network for 3-D"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(options, message, tmp_path):
    save_encoder(autoencoder(), tmp_path / "encoder.safetensors")
    target = encoder(**options)
    before = {key: value.clone() for key, value in target.state_dict().items()}
    with pytest.raises(UserError, match=message) as caught:
        load_pretrained(target, tmp_path / "encoder.safetensors")
    assert "encoder.safetensors" in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in target.state_dict().items())


def test_files_that_are_no_weights_are_named(tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    save_file({"fc.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    for name, message in [
        ("missing.safetensors", "no such file"),
        ("missing.pt", "no checkpoint"),
        ("broken.safetensors", "cannot be read as safetensors"),
        ("broken.pt", "cannot be read as a checkpoint"),
        ("other.safetensors", "first key: fc.weight"),
    ]:
        with pytest.raises(UserError, match=message) as caught:
            load_pretrained(encoder(), tmp_path / name)
        assert name in str(caught.value)


def test_a_classifier_starts_from_the_encoder_and_the_labels_frequencies(tmp_path):
    source, target = autoencoder(), ViTClassifier(2, 1, 64, 16, 2, **SMALL).eval()
    save_encoder(source, tmp_path / "encoder.safetensors")
    labels = [(1, 0)] * 19 + [(0, 0)] * 60 + [(0, 0)] * 20
    assert start_from(target, tmp_path / "encoder.safetensors", labels, freeze=True) is target
    assert torch.equal(target.encoder.blocks[1].mlp.linear1.weight, source.encoder.blocks[1].mlp.linear1.weight)
    assert torch.allclose(target.head.bias.sigmoid(), torch.tensor([19.5 / 100, 0.5 / 100]))
    assert [name for name, weight in target.named_parameters() if weight.requires_grad] == ["head.weight", "head.bias"]
    start_from(target, None, labels)
    assert target.encoder.norm.weight.requires_grad
