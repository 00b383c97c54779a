from __future__ import annotations

import random

import numpy as np
import torch
from ignite.engine import Events

from monai_mae_ext.handlers import EpochSeed


def masks_by_epoch(make_trainer, epochs: int, start: int = 0, **arguments: object) -> dict[int, list[torch.Tensor]]:
    seen: dict[int, list[torch.Tensor]] = {}
    trainer = make_trainer(lambda network, optimizer, dataset: [EpochSeed(dataset, **arguments)], epochs)
    trainer.state.epoch, trainer.state.iteration = start, start * trainer.state.epoch_length
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda e: seen.setdefault(e.state.epoch, []).append(e.state.batch["visible"])
    )
    trainer.run()
    return seen


def test_an_epoch_draws_the_same_whatever_came_before(make_trainer) -> None:
    whole = masks_by_epoch(make_trainer, 3)
    torch.rand(100), np.random.rand(7), random.random()
    late = masks_by_epoch(make_trainer, 3, start=2)
    assert all(torch.equal(a, b) for a, b in zip(whole[3], late[3], strict=True))
    assert not torch.equal(whole[1][0], whole[2][0]), "epochs differ from one another"
    other = masks_by_epoch(make_trainer, 3, seed=1)
    assert not torch.equal(whole[3][0], other[3][0]), "seeds differ from one another"


def test_validation_draws_the_same_masks_and_leaves_training_alone(make_evaluator) -> None:
    seen: list[torch.Tensor] = []
    evaluator = make_evaluator([])
    EpochSeed(evaluator.data_loader.dataset, same_every_epoch=True).attach(evaluator)
    evaluator.add_event_handler(Events.ITERATION_COMPLETED, lambda e: seen.append(e.state.batch["visible"]))
    random.seed(5), np.random.seed(5)
    evaluator.run(1)
    evaluator.run(2)
    assert len(seen) == 6
    assert all(torch.equal(seen[i], seen[i + 3]) for i in range(3))
    draws = random.random(), np.random.rand()
    random.seed(5), np.random.seed(5)
    assert draws == (random.random(), np.random.rand())
