from __future__ import annotations

import pytest
import torch
from torch import nn

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks import ViTClassifier, gather_tokens, patchify
from monai_mae_ext.occlusion import token_occlusion, token_windows


class Brightness(nn.Module):
    """First logit: the sum over the visible tokens of their mean; second logit: its negative."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = type("Encoder", (), {"grid": [4, 6]})()

    def forward(self, image, visible=None):
        tokens = patchify(image, [8, 8]).mean(dim=2, keepdim=True)
        tokens = tokens if visible is None else gather_tokens(tokens, visible)
        return torch.cat([tokens.sum(1), -tokens.sum(1)], dim=1)


def test_single_tokens_get_exactly_what_they_contribute():
    image = torch.zeros(1, 32, 48)
    image[:, 8:16, 24:32] = 1
    maps = token_occlusion(Brightness(), image, window=1, stride=1)
    expected = torch.zeros(4, 6)
    expected[1, 3] = 1
    assert torch.allclose(maps[0], expected) and torch.allclose(maps[1], -expected)


def test_windows_spread_a_contribution_over_what_they_cover():
    image = torch.zeros(1, 32, 48)
    image[:, 8:16, 24:32] = 1
    maps = token_occlusion(Brightness(), image, window=2, stride=1)[0]
    assert maps[1, 3] == maps.max() == 1
    assert maps[1, 1] == maps[3, 3] == 0
    assert maps[1, 2] == pytest.approx(0.5) and maps[0, 3] == pytest.approx(1)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_every_token_is_covered(stride):
    windows = token_windows([5, 7], 3, stride)
    assert windows.any(dim=0).all() and (windows.sum(dim=1) == 9).all()


def test_maps_of_a_network():
    net = ViTClassifier(2, 1, 32, 8, 3, hidden_size=24, mlp_dim=32, num_layers=1, num_heads=2).eval()
    assert token_occlusion(net, torch.randn(1, 32, 32), window=2).shape == (3, 4, 4)
    with pytest.raises(UserError, match="choose 1 to 3"):
        token_occlusion(net, torch.randn(1, 32, 32), window=4)


def test_maps_are_those_of_evaluation_whatever_mode_the_network_is_in():
    torch.manual_seed(0)
    network = ViTClassifier(2, 1, 32, 8, 2, 16, 32, 2, 2, drop_path=0.5, standardize=True).train()
    image = torch.randn(1, 32, 32)
    first = token_occlusion(network, image)
    assert network.training and torch.equal(first, token_occlusion(network, image))
    assert torch.equal(first, token_occlusion(network.eval(), image))
