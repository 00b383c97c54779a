from __future__ import annotations

import pytest
import torch

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks import ViTClassifier

SMALL = {"hidden_size": 24, "mlp_dim": 32, "num_layers": 2, "num_heads": 2}


def classifier(**options) -> ViTClassifier:
    torch.manual_seed(0)
    return ViTClassifier(2, 1, 32, 8, 3, **(SMALL | options)).eval()


@torch.no_grad()
def test_pooling_takes_the_patch_tokens_or_the_class_token():
    image = torch.randn(2, 1, 32, 32)
    for options, pooled in (
        ({}, lambda tokens: tokens[:, 1:].mean(1)),
        ({"cls_token": False}, lambda tokens: tokens.mean(1)),
        ({"pooling": "cls"}, lambda tokens: tokens[:, 0]),
    ):
        net = classifier(**options)
        assert torch.equal(net.features(image), pooled(net.encoder(image)))
        assert torch.equal(net(image), net.head(pooled(net.encoder(image))))


@torch.no_grad()
def test_tokens_left_out_have_no_influence():
    net, image = classifier(), torch.randn(1, 1, 32, 32)
    visible = torch.tensor([[0, 5, 6]])
    changed = image.clone()
    changed[..., 24:, 24:] = 9  # token 15
    assert torch.equal(net(image, visible), net(changed, visible))
    assert not torch.equal(net(image), net(changed))


def test_the_first_predictions_are_undecided():
    assert classifier()(torch.randn(8, 1, 32, 32)).abs().max() < 0.01


@torch.no_grad()
def test_scripts_to_the_same_function():
    net, image = classifier(), torch.randn(2, 1, 32, 32)
    assert torch.allclose(torch.jit.script(net)(image), net(image), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"pooling": "max"}, "'mean' or 'cls'"), ({"pooling": "cls", "cls_token": False}, "needs cls_token")],
)
def test_poolings_that_cannot_be_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        classifier(**options)


def test_a_standardized_head_does_not_mind_the_features_scale():
    net = classifier(standardize=True).train()
    torch.nn.init.normal_(net.head.weight)
    image = torch.randn(6, 1, 32, 32)
    logits = net(image)
    with torch.no_grad():
        net.encoder.norm.weight.mul_(100)
    assert torch.allclose(net(image), logits, atol=1e-2)
    assert "standardize.running_var" in net.state_dict()
