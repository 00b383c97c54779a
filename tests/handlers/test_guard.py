from __future__ import annotations

import logging

import pytest
import torch

from monai_mae_ext.errors import UserError
from monai_mae_ext.handlers import NonFiniteGuard


def with_nan(*bad: int) -> list[torch.Tensor]:
    images = [torch.rand(1, 16, 16) for _ in range(8)]
    for index in bad:
        images[index][:] = torch.nan
    return images


def test_a_bad_step_is_skipped_and_its_files_are_named(make_trainer, caplog) -> None:
    guard = NonFiniteGuard()
    trainer = make_trainer(lambda *_: [guard], epochs=3, images=with_nan(5))
    with caplog.at_level(logging.WARNING):
        trainer.run()
    assert guard.skipped == 3
    assert all(torch.isfinite(parameter).all() for parameter in trainer.network.parameters())
    steps = {float(state["step"]) for state in trainer.optimizer.state.values()}
    assert steps == {3.0}, "the optimiser took the three good steps and no other"
    assert all("film5.png" in record.message and "folder" not in record.message for record in caplog.records)


def test_too_many_in_a_row_end_the_run(make_trainer) -> None:
    trainer = make_trainer(lambda *_: [NonFiniteGuard(max_in_a_row=3)], epochs=5, images=with_nan(*range(8)))
    before = [parameter.clone() for parameter in trainer.network.parameters()]
    with pytest.raises(UserError, match="3 steps in a row were skipped: lower base_lr"):
        trainer.run()
    for old, new in zip(before, trainer.network.parameters(), strict=True):
        assert torch.equal(old, new)


def test_a_non_finite_gradient_of_a_finite_loss_is_caught(make_trainer) -> None:
    guard = NonFiniteGuard()
    trainer = make_trainer(lambda *_: [guard], epochs=1)
    trainer.network.encoder.norm.weight.register_hook(lambda gradient: gradient * torch.inf)
    trainer.run()
    assert guard.skipped == 2 and not trainer.optimizer.state


def test_under_a_gradient_scaler_the_gradients_are_left_to_it(make_trainer) -> None:
    guard = NonFiniteGuard()
    trainer = make_trainer(lambda *_: [], epochs=1)
    trainer.scaler = torch.amp.GradScaler("cpu")
    trainer.state.batch = {"image": torch.zeros(1)}
    trainer.state.output = {"loss": torch.tensor(torch.nan)}
    parameter = next(trainer.network.parameters())
    parameter.grad = torch.full_like(parameter, torch.nan)
    guard(trainer)
    assert guard.skipped == 1 and parameter.grad is not None


def test_between_looks_a_fused_optimiser_skips_the_same_steps(make_trainer, caplog) -> None:
    weights, skipped, images = [], [], with_nan(5)
    for look_every in (1, 3, 100):
        guard = NonFiniteGuard(look_every=look_every)
        trainer = make_trainer(lambda *_, guard=guard: [guard], epochs=3, images=images)
        trainer.optimizer = torch.optim.AdamW(trainer.network.parameters(), lr=1e-3, fused=True)
        with caplog.at_level(logging.WARNING):
            trainer.run()
        weights.append([parameter.detach().clone() for parameter in trainer.network.parameters()])
        skipped.append([record.message.split(";")[0] for record in caplog.records])
        caplog.clear()
        assert guard.skipped == 3
    assert skipped[0] == skipped[1] == skipped[2] and len(skipped[0]) == 3
    for other in weights[1:]:
        torch.testing.assert_close(other, weights[0], rtol=0, atol=0)
