from __future__ import annotations

import torch

from monai_mae_ext.networks.standardize import Standardize


def test_it_is_torchs_batch_norm_without_weights():
    torch.manual_seed(0)
    ours, theirs = Standardize(5), torch.nn.BatchNorm1d(5, eps=1e-6, affine=False)
    for _ in range(3):
        x = torch.randn(8, 5) * 3 + 2
        mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
        torch.testing.assert_close(ours(mine), theirs(other))
        (ours.eval()(mine) ** 2).sum().backward()
        (theirs.eval()(other) ** 2).sum().backward()
        torch.testing.assert_close(mine.grad, other.grad)
        ours.train(), theirs.train()
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


def test_a_bad_batch_is_not_remembered_and_one_item_has_no_spread():
    ours = Standardize(3)
    ours(torch.randn(4, 3))
    known = ours.running_mean.clone(), ours.running_var.clone()
    ours(torch.tensor([[1.0, 2.0, 3.0], [torch.nan, 0.0, torch.inf]]))
    one = ours(torch.ones(1, 3))
    assert torch.equal(ours.running_mean, known[0]) and torch.equal(ours.running_var, known[1])
    torch.testing.assert_close(one, ours.eval()(torch.ones(1, 3)))
