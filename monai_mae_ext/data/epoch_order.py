"""Whose turn it is in an epoch, and what is drawn for it: the same however many processes share the work."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import ignite.distributed as idist
import numpy as np
from monai.data import DistributedSampler
from monai.transforms import Randomizable, Transform

from monai_mae_ext.errors import UserError

__all__ = ["EpochSampler", "SeededDraws", "local_batch_size", "seed_from"]


class EpochSampler(DistributedSampler):
    """This process's share of an epoch's items, in an order that depends on the seed and the epoch's number alone.

    With ``local_batch_size`` the n-th batches of all processes together hold the items that one process would have in
    its n-th batch, if the data make a batch. MONAI's trainer tells the sampler each epoch's number; an ``epoch_length``
    above the loader's repeats the epoch.

    Args:
        dataset: any with a length.
        seed: the run's seed.
        shuffle: if so, each process gets as many items, and the few that are left over wait for another epoch; if not,
            each item is somebody's, in the order of the data set: for validation.

    Raises:
        UserError: if there are fewer items than processes.
    """

    def __init__(self, dataset: Sized, seed: int = 0, shuffle: bool = True) -> None:
        world, rank = idist.get_world_size(), idist.get_rank()
        if len(dataset) < world:
            raise UserError(f"{len(dataset)} items are too few for {world} processes: start fewer")
        apart = seed_from(seed)  # torch adds the epoch's number to it
        super().__init__(dataset, shuffle, world, rank, shuffle, seed=apart, drop_last=shuffle)  # type: ignore[arg-type]


def local_batch_size(batch_size: int, dataset: Sized) -> int:
    """A process's share of a batch of ``batch_size`` items, or of the whole data set, if that is smaller.

    What is left over when a smaller data set is shared out waits for another epoch.

    Raises:
        UserError: if the batch cannot be shared evenly.
    """
    world = idist.get_world_size()
    if batch_size % world:
        raise UserError(f"a batch_size of {batch_size} cannot be shared evenly by {world} processes: use a multiple")
    return min(batch_size, len(dataset)) // world


class SeededDraws:
    """Of data sets: what is drawn for an item follows from ``epoch_seed`` and the item's place alone.

    So it depends neither on the process or worker that prepares the item, nor on what came before.
    """

    transform: Any
    epoch_seed: int | None = None
    """Set by ``EpochSeed``; None leaves the draws as they come."""
    _randomizable: tuple[Any, list[Randomizable]] = (None, [])

    def seed_draws(self, index: int) -> None:
        """Seed the random transforms for an item: the generators they have, where MONAI's ``set_rnd`` makes new ones,
        which for a dozen transforms takes longer than all that they do.
        """
        if self.epoch_seed is None:
            return
        transforms = self.randomizable_transforms()
        seeds = np.random.SeedSequence((self.epoch_seed, index)).generate_state(len(transforms))
        for transform, seed in zip(transforms, seeds, strict=True):
            transform.R.seed(seed)

    def randomizable_transforms(self) -> list[Randomizable]:
        """Those of ``transform`` and inside it; looked for once, which takes a while."""
        whose, found = self._randomizable
        if whose is not self.transform:
            found = list(randomizables_in(self.transform))
            self._randomizable = self.transform, found
        return found


def randomizables_in(transform: Any) -> Iterator[Randomizable]:
    """A transform and all inside it that draw, each with a generator of its own."""
    if isinstance(transform, list | tuple):
        for one in transform:
            yield from randomizables_in(one)
    elif isinstance(transform, Transform | Randomizable):
        if isinstance(transform, Randomizable):
            if "R" not in vars(transform):
                transform.R = np.random.RandomState()  # that of the class belongs to all
            yield transform
        for inner in vars(transform).values():
            yield from randomizables_in(inner)


def seed_from(*numbers: int) -> int:
    """A seed that other numbers do not share."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
