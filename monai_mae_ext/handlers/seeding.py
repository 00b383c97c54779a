"""The determinism rule: what an epoch draws depends on the seed and the epoch's number, on nothing that came before."""

from __future__ import annotations

import random

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Events
from monai.data.utils import set_rnd
from monai.engines import Workflow
from torch.utils.data import Dataset

from monai_mae_ext.data.epoch_order import seed_from

__all__ = ["EpochSeed"]


class EpochSeed:
    """Seed all random draws anew at the start of each epoch.

    So a run that is killed and resumed at an epoch's end continues exactly like one that was never stopped, without
    random states in the checkpoint. In this package's data sets an item's draws depend on the seed, the epoch and the
    item's place alone, so that any number of processes and workers draws the same; other data sets' transforms, and the
    global generators that a network's dropout uses, are seeded for each process. Workers of the data loader must not be
    persistent: they take their seeds when they start.

    Args:
        dataset: its random transforms are seeded.
        seed: the run's seed.
        same_every_epoch: for validation: every epoch draws the same masks, and the global generators, which belong to
            training, are left alone.
    """

    def __init__(self, dataset: Dataset, seed: int = 0, same_every_epoch: bool = False) -> None:
        self.dataset = dataset
        self.seed = seed
        self.same_every_epoch = same_every_epoch

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Workflow) -> None:
        epoch = 0 if self.same_every_epoch else engine.state.epoch
        own = seed_from(self.seed, epoch, idist.get_rank())
        set_rnd(self.dataset, own)
        self.dataset.epoch_seed = seed_from(self.seed, epoch)  # type: ignore[attr-defined]
        if not self.same_every_epoch:
            random.seed(own)
            np.random.seed(own)
            torch.manual_seed(own)
