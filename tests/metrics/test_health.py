from __future__ import annotations

import pytest
import torch

from monai_mae_ext.errors import UserError
from monai_mae_ext.metrics import effective_rank, linear_readability, trivial_losses
from monai_mae_ext.metrics.health import neighbour_means


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_effective_rank_of_isotropic_noise_is_its_dimension():
    assert effective_rank(torch.randn(20_000, 16)) == pytest.approx(16, rel=0.01)


def test_effective_rank_of_points_on_a_line_is_1_wherever_the_line_is():
    assert effective_rank(torch.randn(50, 1) * torch.randn(8) + 5) == pytest.approx(1, abs=1e-3)


def test_effective_rank_of_a_known_spectrum():
    """Variances 1/2, 1/4, 1/4 have an entropy of 1.5 bit."""
    corners = torch.tensor([[2.0**0.5, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert effective_rank(torch.cat([corners, -corners])) == pytest.approx(2**1.5, rel=1e-5)


def test_effective_rank_ignores_rotation_and_scale_and_falls_with_collapse():
    features = torch.randn(500, 8) * torch.linspace(0.1, 1, 8)
    rotation, _ = torch.linalg.qr(torch.randn(8, 8))
    assert effective_rank(features @ rotation * 30) == pytest.approx(effective_rank(features), rel=1e-3)
    assert effective_rank(features * torch.linspace(0, 1, 8)) < effective_rank(features)


def test_effective_rank_of_a_collapsed_encoder_is_0_not_nan():
    """NaN would compare as neither below nor above a random encoder's rank, and pass every check."""
    assert effective_rank(torch.full((10, 4), 0.5)) == 0


def readable(features: torch.Tensor, targets: torch.Tensor, n_images: int = 20) -> float:
    return linear_readability(features, targets, torch.arange(n_images).repeat_interleave(len(features) // n_images))


def test_linear_targets_are_perfectly_readable_whatever_the_scale():
    features = torch.randn(2000, 8)
    targets = features @ torch.randn(8, 3) + 7
    assert readable(features, targets) == pytest.approx(1, abs=1e-4)
    assert readable(features * torch.logspace(-3, 3, 8), targets) == pytest.approx(1, abs=1e-4)


def test_noise_is_not_readable_and_over_fitting_it_shows_as_negative():
    assert -0.05 < readable(torch.randn(4000, 4), torch.randn(4000, 2)) <= 0.01
    assert readable(torch.randn(400, 150), torch.randn(400, 2)) < -0.5


def test_half_of_the_variance_is_read_when_half_of_it_is_there():
    signal = torch.randn(20_000, 1)
    assert readable(signal, signal + torch.randn(20_000, 1)) == pytest.approx(0.5, abs=0.03)


def test_readability_is_judged_on_images_it_was_not_fitted_on():
    """A code that names each image tells nothing about other images."""
    names = torch.eye(20).repeat_interleave(10, 0)
    targets = torch.randn(20, 1).repeat_interleave(10, 0)
    assert readable(names, targets) < 0.05


def test_constant_features_read_nothing():
    assert readable(torch.ones(400, 4), torch.randn(400, 2)) <= 0


def test_neighbour_means_in_2d_by_hand():
    tokens = torch.arange(6.0)[None, :, None].expand(-1, -1, 4)
    above, below, left, right = neighbour_means(tokens, (2, 3))[0].T.tolist()
    assert above == [0, 1, 2, 0, 1, 2]
    assert below == [3, 4, 5, 3, 4, 5]
    assert left == [0, 0, 1, 3, 3, 4]
    assert right == [1, 2, 2, 4, 5, 5]


def test_neighbour_means_in_3d_by_hand():
    tokens = torch.stack([torch.arange(12.0), torch.arange(12.0) + 2], -1)[None].repeat(2, 1, 1)
    tokens[1] *= 10
    means = neighbour_means(tokens, (2, 3, 2))
    assert means.shape == (2, 12, 6)
    token = (0 * 3 + 1) * 2 + 1
    expected = torch.tensor([token, token + 6, token - 2, token + 2, token - 1, token]) + 1.0
    torch.testing.assert_close(means[0, token], expected)
    torch.testing.assert_close(means[1], 10 * means[0])


def test_trivial_losses_by_hand():
    targets = torch.tensor([[[1.0, 3], [5, 5], [0, 0]], [[2, 2], [4, 8], [1, 1]], [[0, 0], [0, 0], [6, 6]]])
    visible = torch.tensor([[1, 0, 0], [1, 0, 0], [1, 0, 0]], dtype=torch.bool)
    hidden = torch.tensor([[0, 1, 0], [0, 1, 0], [0, 1, 0]], dtype=torch.bool)
    visible_mean, position = trivial_losses(targets, visible, hidden)
    assert visible_mean == pytest.approx((9 + 9 + 4 + 36 + 0 + 0) / 6)
    others = [[2.0, 4.0], [2.5, 2.5], [4.5, 6.5]]
    truth = [[5, 5], [4, 8], [0, 0]]
    squares = [(a - b) ** 2 for row, guess in zip(truth, others, strict=True) for a, b in zip(row, guess, strict=True)]
    assert position == pytest.approx(sum(squares) / 6)


def test_one_image_is_refused():
    with pytest.raises(UserError, match="at least two images"):
        trivial_losses(torch.zeros(1, 2, 3), torch.tensor([[True, False]]), torch.tensor([[False, True]]))


def test_trivial_losses_look_at_valid_values_alone():
    """What is not valid may hold anything: here huge values in a third of each token."""
    targets, valid = torch.randn(6, 10, 9), torch.ones(6, 10, 9)
    visible = torch.zeros(6, 10, dtype=torch.bool)
    visible[:, :4] = True
    expected = trivial_losses(targets[..., :6], visible, ~visible)
    valid[..., 6:] = 0
    spoilt = torch.where(valid.bool(), targets, 1e6)
    assert trivial_losses(spoilt, visible, ~visible, valid) == pytest.approx(expected, rel=1e-5)
