from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks import MaskedAutoencoder, MaskedEncoder, own_names, patchify, transfer_encoder
from monai_mae_ext.networks.stems import LinearStem, TwoStageStem

SMALL = {"hidden_size": 24, "mlp_dim": 32, "num_layers": 1, "num_heads": 2}


@torch.no_grad()
@pytest.mark.parametrize("patch", [[8, 4], [4, 4, 2]])
def test_the_linear_stem_is_a_convolution(patch):
    stem, image = LinearStem(2, patch, 24), torch.randn(3, 2, *[3 * side for side in patch])
    conv = F.conv2d if len(patch) == 2 else F.conv3d
    expected = conv(image, stem.weight, stem.bias, stride=patch).flatten(2).transpose(1, 2)
    assert torch.allclose(stem(patchify(image, patch)), expected, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("width", [20, 36])
def test_the_two_stage_stem_is_two_convolutions_of_the_whole_image(width):
    stem, image = TwoStageStem(1, [64, 64], width), torch.randn(2, 1, 128, 192)
    cells = F.relu(F.conv2d(image, stem.cells.weight, stem.cells.bias, stride=16))
    merged = F.relu(F.conv2d(cells, stem.merge.weight, stem.merge.bias, stride=4))
    expected = stem.project(merged.flatten(2).transpose(1, 2))
    assert torch.allclose(stem(patchify(image, [64, 64])), expected, atol=1e-5)


def test_an_autoencoder_learns_through_it_and_its_encoder_moves_on():
    net = MaskedAutoencoder(2, 1, 128, 32, stem="two_stage", decoder_num_layers=1, **SMALL)
    visible, hidden = torch.tensor([[0, 5]]), torch.tensor([[3]])
    net(torch.randn(1, 1, 128, 128), visible, hidden).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.encoder.patch_embedding.patch_embeddings.parameters())
    target = MaskedEncoder(2, 3, 64, 32, stem="two_stage", **SMALL)
    report = transfer_encoder(target, own_names(net.state_dict(), net.facts))
    assert report.fates["patch_embedding.patch_embeddings.cells.weight"][0] == "adapted"
    assert report.fates["patch_embedding.patch_embeddings.merge.weight"][0] == "loaded"
    with pytest.raises(UserError, match="stem"):
        transfer_encoder(MaskedEncoder(2, 1, 128, 32, **SMALL), own_names(net.state_dict(), net.facts))


def test_stems_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="multiple of 4"):
        TwoStageStem(1, [30, 30], 24)
    with pytest.raises(UserError, match="linear"):
        MaskedEncoder(2, 1, 64, 16, stem="three_stage", **SMALL)
