from __future__ import annotations

import pytest
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance
from monai.networks import one_hot

from monai_mae_ext.metrics import MeanDice, dice_score, hausdorff95


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.zeros(20, 20, 12, dtype=torch.uint8)
    truth[2:10, 3:9, 2:8], truth[12:18, 10:18, 4:10] = 1, 2
    segmentation = torch.zeros_like(truth)
    segmentation[3:10, 3:11, 2:7], segmentation[12:17, 11:18, 4:11] = 1, 2
    return segmentation, truth


def test_scores_are_those_of_monai(pair) -> None:
    ours, theirs = (one_hot(labels[None, None].float(), 3) for labels in pair)
    spacing = (0.8, 1.0, 2.5)
    dice = compute_dice(ours, theirs, include_background=False)[0]
    distance = compute_hausdorff_distance(ours, theirs, percentile=95, spacing=list(spacing))[0]
    for number in (1, 2):
        masks = [labels == number for labels in pair]
        assert dice_score(*masks).item() == pytest.approx(dice[number - 1].item(), rel=1e-6)
        assert hausdorff95(*masks, spacing).item() == pytest.approx(distance[number - 1].item())


def test_what_neither_has_has_no_score_and_what_is_missed_has_0(pair) -> None:
    segmentation, truth = (labels == 1 for labels in pair)
    nothing = torch.zeros_like(truth)
    assert dice_score(nothing, nothing).isnan() and hausdorff95(nothing, nothing, (1, 1, 1)).isnan()
    assert dice_score(nothing, truth) == 0 and hausdorff95(nothing, truth, (1, 1, 1)).isnan()


def test_the_mean_is_over_volumes_first_and_then_over_classes() -> None:
    truth = torch.tensor([[[1, 1, 2, 2]], [[1, 1, 0, 0]]])  # two volumes, classes 1 and 2; the second has no class 2
    guess = torch.tensor([[1, 1, 2, 0], [1, 0, 0, 0]])
    metric = MeanDice()
    metric(torch.nn.functional.one_hot(guess, 3).movedim(-1, 1).float(), truth)
    assert metric.aggregate() == pytest.approx(((1 + 2 / 3) / 2 + 2 / 3) / 2)
