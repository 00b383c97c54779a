from __future__ import annotations

import pytest
import torch

from monai_mae_ext.networks import MaskedAutoencoder, ViTClassifier
from monai_mae_ext.optim import layer_decay_groups, weight_decay_groups


def network(positions: str = "sincos") -> MaskedAutoencoder:
    return MaskedAutoencoder(
        2, 1, 16, 8, hidden_size=16, mlp_dim=16, num_layers=1, num_heads=2, decoder_hidden_size=8, decoder_mlp_dim=8,
        decoder_num_layers=1, decoder_num_heads=2, positions=positions,
    )  # fmt: skip


def names(net: MaskedAutoencoder, group: dict) -> set[str]:
    members = {id(parameter) for parameter in group["params"]}
    return {name for name, parameter in net.named_parameters() if id(parameter) in members}


def test_matrices_decay_and_vectors_do_not():
    net = network()
    decay, keep = weight_decay_groups(net, 0.1)
    assert decay["weight_decay"] == 0.1 and keep["weight_decay"] == 0
    assert all(name.endswith("bias") or "norm" in name for name in names(net, keep))
    assert not any(name.endswith("bias") or "norm" in name for name in names(net, decay))
    assert {"encoder.cls_token", "decoder.mask_token", "encoder.patch_embedding.patch_embeddings.weight"} <= names(
        net, decay
    )


def test_every_trainable_parameter_is_in_exactly_one_group_and_fixed_ones_in_none():
    for positions in ("sincos", "learnable"):
        net = network(positions)
        groups = [names(net, group) for group in weight_decay_groups(net)]
        assert not groups[0] & groups[1]
        assert groups[0] | groups[1] == {name for name, value in net.named_parameters() if value.requires_grad}
        assert any("position" in name for name in groups[0]) is (positions == "learnable")


def test_adamw_takes_them():
    net = network()
    optimizer = torch.optim.AdamW(weight_decay_groups(net, 0.5), lr=0.1)
    bias, weight = net.decoder.head.bias, net.decoder.head.weight
    bias.data.fill_(1)
    before = weight.detach().clone()
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), before * (1 - 0.1 * 0.5))
    assert (bias == 1).all()


@pytest.mark.parametrize("positions", ["sincos", "learnable"])
def test_rates_fall_from_the_head_to_the_embedding(positions):
    net = ViTClassifier(2, 1, 16, 8, 3, hidden_size=16, mlp_dim=16, num_layers=2, num_heads=2, positions=positions)
    groups = layer_decay_groups(net, lr=1.0, weight_decay=0.1, layer_decay=0.5)
    settings = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    found = {name: settings.pop(id(p)) for name, p in net.named_parameters() if p.requires_grad}
    assert not settings, "a parameter is in two groups"
    assert found["head.weight"] == (1, 0.1) and found["head.bias"] == (1, 0)
    assert found["encoder.norm.weight"] == (1, 0)
    assert found["encoder.blocks.1.mlp.linear1.weight"] == (0.5, 0.1)
    assert found["encoder.blocks.0.attn.qkv.bias"] == (0.25, 0)
    assert found["encoder.patch_embedding.patch_embeddings.weight"] == (0.125, 0.1)
    assert found["encoder.cls_token"] == (0.125, 0)
    assert ("encoder.patch_embedding.position_embeddings" in found) == (positions == "learnable")
