from __future__ import annotations

import logging

import pytest
import torch

from monai_mae_ext.handlers import LearningHealth
from monai_mae_ext.handlers.health import verdict
from monai_mae_ext.losses import MaskedReconstructionLoss
from tests.handlers.conftest import tiny_network

GOOD = {
    "loss_model": 0.2, "loss_visible_mean": 1.0, "loss_position_only": 0.6, "rank": 12.0, "rank_random": 7.0,
    "readable_own": 0.95, "readable_own_random": 0.97, "readable_around": 0.9, "readable_around_random": 0.8,
}  # fmt: skip


def test_every_figure_stands_beside_that_of_a_random_encoder(make_evaluator, caplog) -> None:
    network = tiny_network()
    evaluator = make_evaluator([LearningHealth(network, MaskedReconstructionLoss(4, normalize_targets=False))], network)
    with caplog.at_level(logging.INFO, logger="monai_mae_ext"):
        evaluator.run()
    assert set(GOOD) <= set(evaluator.state.metrics)
    assert evaluator.state.metrics["loss_visible_mean"] == pytest.approx(1 / 12, abs=0.02), "variance of uniform noise"
    assert any("NOT YET BETTER THAN A RANDOM ENCODER" in record.message for record in caplog.records)


def test_an_encoder_that_is_random_has_the_figures_of_its_twin(make_evaluator) -> None:
    network = tiny_network()
    health = LearningHealth(network, MaskedReconstructionLoss(4))
    network.load_state_dict(health.twin.state_dict())
    evaluator = make_evaluator([health], network)
    evaluator.run()
    for name in ("rank", "readable_own", "readable_around"):
        assert evaluator.state.metrics[name] == pytest.approx(evaluator.state.metrics[f"{name}_random"])


def test_the_twin_does_not_depend_on_the_seed_nor_disturb_it() -> None:
    torch.manual_seed(3)
    one = LearningHealth(tiny_network(), MaskedReconstructionLoss(4)).twin
    draw = torch.rand(1)
    torch.manual_seed(3)
    tiny_network()
    assert torch.equal(draw, torch.rand(1))
    two = LearningHealth(tiny_network(), MaskedReconstructionLoss(4)).twin
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_one_image_is_no_ground_for_a_verdict_but_no_error_either(make_evaluator, caplog) -> None:
    network = tiny_network()
    evaluator = make_evaluator([LearningHealth(network, MaskedReconstructionLoss(4))], network, epoch_length=1)
    evaluator.data_loader = [{key: value[:1] for key, value in next(iter(evaluator.data_loader)).items()}]
    evaluator.run()
    assert "validate on more" in caplog.text and "rank" not in evaluator.state.metrics


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"loss_model": 0.7}, "not below loss_position_only"),
        ({"loss_model": 1.1}, "not below loss_visible_mean"),
        ({"rank": 6.9}, "effective rank 6.9 is below a random encoder's 7.0"),
        ({"readable_around": 0.79}, "surroundings"),
        ({"readable_own": 0.8}, "thrown away"),
    ],
)
def test_each_fault_alone_decides_the_verdict(change: dict[str, float], reason: str) -> None:
    assert verdict(GOOD).startswith("better than a random encoder")
    line = verdict(GOOD | change)
    assert line.startswith("NOT YET BETTER") and reason in line
