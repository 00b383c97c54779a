from __future__ import annotations

from types import SimpleNamespace

import pytest
from ignite.engine import Events

from monai_mae_ext.handlers import AtomicCheckpoint, StopWithoutImprovement


def evaluator_that_improved_last_in(epoch: int) -> SimpleNamespace:
    return SimpleNamespace(state=SimpleNamespace(best_metric_epoch=epoch, best_metric=1.0, epoch=0, metrics={}))


@pytest.mark.parametrize(("best", "stopped_at"), [(1, 4), (3, 6), (8, 8), (-1, 8)])
def test_stops_after_its_patience(make_trainer, best: int, stopped_at: int) -> None:
    evaluator = evaluator_that_improved_last_in(best)
    trainer = make_trainer(lambda *_: [StopWithoutImprovement(evaluator, 3)], epochs=8)
    trainer.run()
    assert trainer.state.epoch == stopped_at


def test_a_stopped_run_that_is_started_again_trains_no_further(make_trainer, tmp_path) -> None:
    evaluator = evaluator_that_improved_last_in(1)

    def handlers(network, optimizer, dataset) -> list:
        checkpoint = AtomicCheckpoint(tmp_path, network, optimizer, evaluator=evaluator)
        return [checkpoint, StopWithoutImprovement(evaluator, 3)]

    make_trainer(handlers, epochs=8).run()
    before = (tmp_path / "last.pt").read_bytes()
    evaluator.state.best_metric_epoch = -1
    again = make_trainer(handlers, epochs=8)
    trained = []
    again.add_event_handler(Events.ITERATION_COMPLETED, trained.append)
    again.run()
    assert not trained and (tmp_path / "last.pt").read_bytes() == before
