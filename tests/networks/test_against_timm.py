"""Weights in timm's and the original MAE's layout, loaded here, give timm's features."""

from __future__ import annotations

import pytest
import torch

from monai_mae_ext.networks import MaskedEncoder, own_names, transfer_encoder
from monai_mae_ext.weights import load_pretrained

SMALL = {"embed_dim": 48, "depth": 3, "num_heads": 4, "mlp_ratio": 2}


@pytest.fixture(scope="module")
def timm():
    """timm, beside a torchvision whose compiled operators do not fit this torch: their schemas are declared first."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    if not hasattr(torch.ops.torchvision, "nms"):
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    yield pytest.importorskip("timm", reason="timm and torchvision are not installed (see the Makefile)")
    library._destroy()


def vit(timm, **options):
    torch.manual_seed(0)
    net = timm.models.vision_transformer.VisionTransformer(img_size=64, num_classes=5, **(SMALL | options)).eval()
    for parameter in net.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return net


def encoder(in_channels: int, img_size: int = 64, **options) -> MaskedEncoder:
    return MaskedEncoder(2, in_channels, img_size, 16, 48, 96, 3, 4, norm_eps=1e-6, **options).eval()


@torch.no_grad()
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({}, {}),
        ({"no_embed_class": True}, {}),
        ({"class_token": False, "global_pool": "avg", "fc_norm": False}, {"cls_token": False}),
        ({"qkv_bias": False}, {"qkv_bias": False}),
    ],
    ids=["cls", "cls without position", "no cls", "no bias"],
)
def test_features_are_those_of_timm(timm, theirs, ours):
    source, target = vit(timm, **theirs), encoder(3, **ours)
    report = transfer_encoder(target, own_names(source.state_dict()))
    image = torch.randn(2, 3, 64, 64)
    assert (target(image) - source.forward_features(image)).abs().max() < 1e-4
    assert not report.notes
    assert [key for key, (fate, _) in report.fates.items() if fate == "unused"] == ["head.weight", "head.bias"]


@torch.no_grad()
@pytest.mark.parametrize("nested", [True, False], ids=["mae", "bare"])
def test_a_grey_image_gives_what_its_three_channels_gave(timm, nested, tmp_path):
    source, target = vit(timm), encoder(1)
    weights = source.state_dict()
    torch.save({"model": weights | {"decoder_embed.weight": torch.zeros(2)}} if nested else weights, tmp_path / "w.pth")
    report = load_pretrained(target, tmp_path / "w.pth")
    image = torch.randn(2, 1, 64, 64)
    assert (target(image) - source.forward_features(image.expand(-1, 3, -1, -1))).abs().max() < 1e-4
    assert report.fates["patch_embedding.patch_embeddings.weight"] == ("adapted", "3 -> 1 channels")


@torch.no_grad()
def test_interpolated_positions_are_close_to_those_of_timm(timm):
    source, target = vit(timm), encoder(3, 96)
    transfer_encoder(target, own_names(source.state_dict()))
    resampled = timm.layers.resample_abs_pos_embed(source.pos_embed, [6, 6], antialias=False)
    assert (target.patch_embedding.position_embeddings - resampled[:, 1:]).abs().max() < 1e-4


def test_an_eps_that_differs_is_told(timm):
    target = MaskedEncoder(2, 3, 64, 16, 48, 96, 3, 4)
    report = transfer_encoder(target, own_names(vit(timm).state_dict()))
    assert "network_def#norm_eps" in report.notes[0] and "1e-06" in report.notes[0]
