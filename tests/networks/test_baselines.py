from __future__ import annotations

import pytest
import torch

from monai_mae_ext.errors import UserError
from monai_mae_ext.losses import AutoencoderLoss
from monai_mae_ext.networks import BaselineAutoencoder
from monai_mae_ext.networks.baselines import kl_divergence

SIZES = {"spatial_dims": 3, "in_channels": 1, "img_size": [16, 16, 16], "channels": [8, 16]}


@pytest.mark.parametrize("kind", ["ae", "vae", "vqvae"])
def test_baselines_see_every_voxel_learn_and_reconstruct_alike_each_time(kind: str) -> None:
    torch.manual_seed(0)
    network, loss = BaselineAutoencoder(kind, latent_size=8, num_embeddings=16, **SIZES), AutoencoderLoss()
    image = torch.nn.functional.interpolate(torch.rand(4, 1, 4, 4, 4), scale_factor=4)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        value = loss(network(image, torch.zeros(4, 1).long(), torch.ones(4, 1).long()), {"image": image})
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[-1] < 0.8 * losses[0]
    network.eval()
    with torch.no_grad():
        first, second = network(image), network(image)
    assert first.shape == image.shape and torch.equal(first, second)


@pytest.mark.parametrize("kind", ["ae", "vae"])
@pytest.mark.parametrize(("norm", "layer"), [("batch", "BatchNorm3d"), ("instance", "InstanceNorm3d")])
def test_norms_are_those_asked_for(kind: str, norm: str, layer: str) -> None:
    network = BaselineAutoencoder(kind, latent_size=8, norm=norm, **SIZES)
    assert {name for name in (type(module).__name__ for module in network.modules()) if "Norm" in name} == {layer}


def test_the_divergence_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, 3, 5, generator=generator).unbind()
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, (log_variance / 2).exp()), normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(kl_divergence(mean, log_variance), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"kind": "gan"}, "kind is 'ae', 'vae' or 'vqvae'"), ({"img_size": [16, 18, 16]}, "cannot be halved 2 times")],
)
def test_what_does_not_fit_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        BaselineAutoencoder(**{"kind": "ae", **SIZES, **changes})


def test_padding_has_no_part_in_the_loss() -> None:
    image = torch.rand(2, 1, 4, 4, 4)
    valid = torch.zeros(2, 1, 4, 4, 4, dtype=torch.uint8)
    valid[..., :2] = 1
    prediction = torch.where(valid.bool(), image + 0.5, 99.0)
    loss = AutoencoderLoss(penalty_weight=2.0)
    assert loss(prediction, {"image": image, "valid": valid}).item() == pytest.approx(0.25)
    assert loss((prediction, torch.tensor(1.0)), {"image": image, "valid": valid}).item() == pytest.approx(2.25)
