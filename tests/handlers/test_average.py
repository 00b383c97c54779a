from __future__ import annotations

import torch
from ignite.engine import Events

from monai_mae_ext.handlers import AtomicCheckpoint, EpochSeed, WeightAverage
from monai_mae_ext.weights import read_checkpoint


def averaged_run(make_trainer, folder, epochs: int):
    def handlers(network, optimizer, dataset) -> list:
        average = WeightAverage(network, 0.1)
        return [EpochSeed(dataset), average,
                AtomicCheckpoint(folder, network, optimizer, averaged=average.averaged)]  # fmt: skip

    trainer = make_trainer(handlers, epochs=epochs)
    torch.manual_seed(99)
    trainer.run()
    return trainer


def test_the_average_follows_its_formula(make_trainer) -> None:
    seen, kept = [], []

    def handlers(network, optimizer, dataset) -> list:
        kept.append(WeightAverage(network, 0.25))
        seen.append(network.encoder.norm.weight.detach().clone())
        return kept

    trainer = make_trainer(handlers, epochs=1)
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: seen.append(engine.network.encoder.norm.weight.detach().clone())
    )
    trainer.run()
    expected = seen[0]
    for weight in seen[1:]:
        expected = 0.75 * expected + 0.25 * weight
    assert len(seen) == 3 and torch.allclose(kept[0].averaged.encoder.norm.weight, expected)


def test_a_resumed_run_ends_in_the_same_average(make_trainer, tmp_path) -> None:
    averaged_run(make_trainer, tmp_path / "whole", 4)
    averaged_run(make_trainer, tmp_path / "broken", 2)
    averaged_run(make_trainer, tmp_path / "broken", 4)
    whole, broken = (read_checkpoint(tmp_path / name / "last.pt") for name in ("whole", "broken"))
    delivered = read_checkpoint(tmp_path / "broken" / "model.pt")
    for key, weight in whole["averaged"].items():
        assert torch.equal(weight, broken["averaged"][key]) and torch.equal(weight, delivered[key])
    assert any(not torch.equal(weight, whole["network"][key]) for key, weight in whole["averaged"].items())


def test_no_momentum_is_no_average(make_trainer) -> None:
    average = WeightAverage(torch.nn.Linear(1, 1), 0.0)
    assert average.averaged is None
    make_trainer(lambda *_: [average], epochs=1).run()
