from __future__ import annotations

import torch

from monai_mae_ext.networks import MaskedAutoencoder
from monai_mae_ext.optim import weight_decay_groups


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
