from __future__ import annotations

import pytest
import torch

from monai_mae_ext.errors import UserError
from monai_mae_ext.metrics import neighbour_scores, roc_auc


@pytest.fixture
def clusters() -> tuple[torch.Tensor, torch.Tensor]:
    """Features ``(60, 8)`` round two centres, far from the origin, and labels: the centre, and a coin."""
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (60, 2), generator=random)
    features = 100 + torch.randn(60, 8, generator=random)
    features[:, 0] += 6 * labels[:, 0]
    return features, labels


def test_neighbours_know_what_the_features_know(clusters):
    features, labels = clusters
    scores = neighbour_scores(features[:40], labels[:40], features[40:], neighbours=5)
    assert scores.shape == (20, 2) and scores.min() >= 0 and scores.max() <= 1 + 1e-6
    assert roc_auc(scores[:, 0], labels[40:, 0]) > 0.9
    assert abs(roc_auc(scores[:, 1], labels[40:, 1]) - 0.5) < 0.35


def test_the_nearest_alone_gives_its_own_label(clusters):
    features, labels = clusters
    assert torch.equal(neighbour_scores(features, labels, features, neighbours=1), labels.float())


def test_scale_and_offset_of_a_feature_and_the_order_of_the_films_do_not_matter(clusters):
    features, labels = clusters
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    stretched = (features.double() * torch.arange(1, 9) - 7)[:40], (features.double() * torch.arange(1, 9) - 7)[40:]
    expected = neighbour_scores(features[:40].double(), labels[:40], features[40:].double())
    found = neighbour_scores(stretched[0][order], labels[:40][order], stretched[1])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("neighbours", [0, 41])
def test_more_neighbours_than_films_are_refused(clusters, neighbours):
    features, labels = clusters
    with pytest.raises(UserError, match="choose 1 to 40"):
        neighbour_scores(features[:40], labels[:40], features[40:], neighbours)
