from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from monai_mae_ext.losses import MaskedReconstructionLoss
from monai_mae_ext.networks.blocks import DropPath
from tests.networks.small import SIZES, batch, decoders, network


def test_drop_path_acts_in_training_only_and_rises_linearly():
    net = network(drop_path=0.5, num_layers=3)
    assert [block.drop_path.rate for block in net.encoder.blocks] == pytest.approx([0, 0.25, 0.5])
    assert {block.drop_path.rate for block in net.decoder.blocks} == {0}
    image, visible, _ = batch()
    assert torch.equal(net.encoder(image, visible), net.encoder(image, visible))
    net.train()
    assert not torch.equal(net.encoder(image, visible), net.encoder(image, visible))


def test_drop_path_drops_whole_samples_and_keeps_the_mean():
    torch.manual_seed(0)
    dropped = DropPath(0.3).train()(torch.ones(20_000, 2, 3))
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert (dropped == dropped[:, :1, :1]).all()
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)


@decoders
def test_checkpointing_changes_no_gradient(decoder):
    image, visible, hidden = batch()
    gradients = []
    for checkpointing in (False, True):
        net = network(decoder=decoder, checkpointing=checkpointing).train()
        loss = MaskedReconstructionLoss(SIZES[2][1])
        loss(net(image, visible, hidden), {"image": image, "hidden": hidden}).backward()
        gradients.append({name: value.grad for name, value in net.named_parameters() if value.requires_grad})
    assert None not in gradients[0].values()
    torch.testing.assert_close(*gradients)


@decoders
def test_every_trainable_weight_gets_a_gradient(decoder):
    """Anything else stops DistributedDataParallel."""
    image, visible, hidden = batch()
    net = network(decoder=decoder, positions="learnable")
    net(image, visible, hidden).square().sum().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in net.parameters())


@decoders
def test_bfloat16_autocast_runs_forward_and_backward_with_a_float32_loss(decoder):
    image, visible, hidden = batch()
    net = network(decoder=decoder).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = net(image, visible, hidden)
        loss = MaskedReconstructionLoss(SIZES[2][1])(out, {"image": image, "hidden": hidden})
    loss.backward()
    assert out.dtype == torch.bfloat16
    assert loss.dtype == torch.float32 and loss.isfinite()
    assert all(value.grad.isfinite().all() for value in net.parameters() if value.requires_grad)
    torch.testing.assert_close(out.float(), net(image, visible, hidden), atol=0.05, rtol=0.05)


@decoders
def test_autocast_does_not_round_the_positions_of_the_queries(decoder):
    image, visible, hidden = batch()
    net = network(decoder=decoder)
    inputs = []
    net.decoder.blocks[0].register_forward_pre_hook(lambda block, arguments: inputs.append(arguments[0]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        net(image, visible, hidden)
    assert torch.equal(inputs[0][:, -hidden.shape[1] :], net.decoder.queries(image, visible, hidden))


@pytest.mark.parametrize("axes", [2, 3])
def test_initialisation_is_the_original_maes(axes):
    net = network(axes, hidden_size=192, mlp_dim=384, decoder_hidden_size=96, decoder_num_layers=1)
    for name, module in net.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d):
            rows, columns = module.weight.flatten(1).shape
            bound = math.sqrt(6 / (rows + columns))
            assert bound * 0.97 < module.weight.abs().max() <= bound, name
            assert module.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05), name
            assert (module.bias == 0).all(), name
        elif isinstance(module, nn.LayerNorm):
            assert (module.weight == 1).all() and (module.bias == 0).all()
    for token in (net.encoder.cls_token, net.decoder.mask_token):
        assert token.std().item() == pytest.approx(0.02, rel=0.25)


def test_positions_are_fixed_when_sincos_and_trained_when_learnable():
    fixed, learnt = network(), network(positions="learnable")
    for net, trained in ((fixed, False), (learnt, True)):
        for table in (net.encoder.patch_embedding.position_embeddings, net.decoder.position_embeddings):
            assert table.requires_grad is trained
            assert len(table[0].unique(dim=0)) == net.n_tokens, "two tokens share a position"
    assert learnt.encoder.patch_embedding.position_embeddings.std().item() == pytest.approx(0.02, rel=0.2)
