"""Stop a training that no longer improves, also across resumed runs."""

from __future__ import annotations

import logging

from ignite.engine import Events
from monai.engines import SupervisedTrainer, Workflow

__all__ = ["StopWithoutImprovement"]


class StopWithoutImprovement:
    """End the run when the validation's key metric has not improved for ``patience`` epochs.

    It counts nothing itself: the evaluator's best epoch, which ``AtomicCheckpoint`` restores, decides. So a resumed run
    stops where one that was never killed does. Attach it after the checkpoint handler.

    Args:
        evaluator: the validation.
        patience: epochs without improvement, at least the validation's interval.
    """

    def __init__(self, evaluator: Workflow, patience: int) -> None:
        self.evaluator, self.patience = evaluator, patience
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: SupervisedTrainer) -> None:
        engine.add_event_handler(Events.STARTED, self)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: SupervisedTrainer) -> None:
        best = self.evaluator.state.best_metric_epoch
        if best > 0 and engine.state.epoch - best >= self.patience:
            self.logger.info(f"stopped at epoch {engine.state.epoch}: no improvement since epoch {best}")
            engine.terminate()
