from __future__ import annotations

import math

import pytest
import torch
from torch.nn import BCEWithLogitsLoss

from monai_mae_ext.errors import UserError
from monai_mae_ext.losses import MultiLabelLoss, positive_weights


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 3, generator=generator), torch.randint(2, (6, 3), generator=generator)


@pytest.mark.parametrize("weight", [None, [1.0, 5.0, 0.5]])
def test_without_smoothing_it_is_torchs(batch, weight):
    logits, labels = batch
    expected = BCEWithLogitsLoss(pos_weight=None if weight is None else torch.tensor(weight))(logits, labels.float())
    for given in (weight, None if weight is None else torch.tensor(weight)):
        torch.testing.assert_close(MultiLabelLoss(given)(logits, labels), expected)


def test_smoothing_by_hand():
    """Targets 0.9 and 0.1 at logits log 3 (probability 3/4) and 0."""
    loss = MultiLabelLoss(label_smoothing=0.2)(torch.tensor([[math.log(3), 0.0]]), torch.tensor([[1, 0]]))
    first = -(0.9 * math.log(0.75) + 0.1 * math.log(0.25))
    assert loss.item() == pytest.approx((first + math.log(2)) / 2)


def test_smoothed_targets_are_met_at_a_finite_logit():
    logits = torch.tensor([[math.log(0.95 / 0.05), -math.log(0.95 / 0.05)]], requires_grad=True)
    MultiLabelLoss(label_smoothing=0.1)(logits, torch.tensor([[1, 0]])).backward()
    torch.testing.assert_close(logits.grad, torch.zeros(1, 2), atol=1e-6, rtol=0)


def test_under_autocast_it_is_computed_in_float32(batch):
    logits, labels = batch[0].bfloat16(), batch[1].bfloat16()
    loss_function = MultiLabelLoss([1.0, 5.0, 0.5], 0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_function(logits, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, loss_function(logits.float(), labels.float()))


def test_the_weights_move_with_the_loss():
    assert MultiLabelLoss([2.0, 3.0]).to("meta").pos_weight.device.type == "meta"


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_other_smoothing_is_refused(smoothing):
    with pytest.raises(UserError, match=f"label_smoothing {smoothing}"):
        MultiLabelLoss(label_smoothing=smoothing)


def test_positive_weights_by_hand():
    """One in four; three in four; none; all; one in four, capped."""
    labels = [[1, 1, 0, 1], [0, 1, 0, 1], [0, 1, 0, 1], [0, 0, 0, 1]]
    torch.testing.assert_close(positive_weights(labels), torch.tensor([3, 1 / 3, 1, 0]))
    torch.testing.assert_close(positive_weights(torch.tensor(labels), maximum=2.0), torch.tensor([2, 1 / 3, 1, 0]))


def test_weighted_positives_and_negatives_pull_equally():
    labels = (torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) < torch.tensor([0.1, 0.5, 0.9])).int()
    logits = torch.zeros(50, 3, requires_grad=True)
    MultiLabelLoss(positive_weights(labels))(logits, labels).backward()
    torch.testing.assert_close(logits.grad.sum(0), torch.zeros(3), atol=1e-6, rtol=0)
