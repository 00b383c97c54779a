from __future__ import annotations

import pytest
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance
from monai.networks import one_hot

from monai_mae_ext.metrics import MeanDice, dice_scores, hausdorff95


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.zeros(20, 20, 12, dtype=torch.uint8)
    truth[2:10, 3:9, 2:8], truth[12:18, 10:18, 4:10] = 1, 2
    segmentation = torch.zeros_like(truth)
    segmentation[3:10, 3:11, 2:7], segmentation[12:17, 11:18, 4:11] = 1, 2
    return segmentation, truth


def test_scores_are_those_of_monai(pair) -> None:
    ours, theirs = (one_hot(labels[None, None].float(), 3) for labels in pair)
    torch.testing.assert_close(
        dice_scores(*pair, 3), compute_dice(ours, theirs, include_background=False)[0].double(), rtol=1e-6, atol=0
    )
    spacing = (0.8, 1.0, 2.5)
    expected = compute_hausdorff_distance(ours, theirs, percentile=95, spacing=list(spacing))
    torch.testing.assert_close(hausdorff95(*pair, 3, spacing), expected[0].double())


def test_absent_organs_count_neither_way_and_missed_ones_count_as_0(pair) -> None:
    segmentation, truth = pair
    scores = dice_scores(segmentation, truth, 4)
    assert scores[2].isnan() and hausdorff95(segmentation, truth, 4, (1, 1, 1))[2].isnan()
    missed = segmentation.clone()
    missed[missed == 1] = 0
    assert dice_scores(missed, truth, 4)[0] == 0 and hausdorff95(missed, truth, 4, (1, 1, 1))[0].isnan()


def test_the_mean_is_over_volumes_first_and_then_over_classes() -> None:
    truth = torch.tensor([[[1, 1, 2, 2]], [[1, 1, 0, 0]]])  # two volumes, classes 1 and 2; the second has no class 2
    guess = torch.tensor([[1, 1, 2, 0], [1, 0, 0, 0]])
    metric = MeanDice()
    metric(torch.nn.functional.one_hot(guess, 3).movedim(-1, 1).float(), truth)
    assert metric.aggregate() == pytest.approx(((1 + 2 / 3) / 2 + 2 / 3) / 2)
