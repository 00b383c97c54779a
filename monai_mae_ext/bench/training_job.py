"""A bundle's training in small: its own steps on its own scans, timed one by one."""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from ignite.engine import Events
from monai.bundle import ConfigParser
from monai.data import list_data_collate
from monai.engines import IterationEvents, SupervisedTrainer
from scipy.optimize import nnls
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import Dataset, Subset
from torch.utils.flop_counter import FlopCounterMode

from monai_mae_ext.bench.clock import now
from monai_mae_ext.bench.memory import MIB, peak_mib, reset_peak
from monai_mae_ext.data import PrefetchDataLoader, TolerantCacheDataset
from monai_mae_ext.errors import UserError
from monai_mae_ext.handlers import NonFiniteGuard
from monai_mae_ext.overlays import overlay_paths

__all__ = ["Line", "TrainingJob"]

STEPS, FEWEST_STEPS = 8, 2
"""Of the largest batch, unless time runs out, and of each smaller one; the first warms up."""
SCANS = 8
"""That stand for all."""


class Line(NamedTuple):
    """A cost by batch size, neither part below 0."""

    start: float
    slope: float

    @classmethod
    def through(cls, costs: Mapping[int, float]) -> Line:
        """The line with the least squared error."""
        sizes = np.array(list(costs), float)
        start, slope = nnls(np.stack([np.ones_like(sizes), sizes], axis=1), np.array(list(costs.values())))[0]
        return cls(float(start), float(slope))

    def __call__(self, size: int) -> float:
        return self.start + self.slope * size


class Step(NamedTuple):
    """What one of a batch of ``size`` costs: seconds, those of the optimiser among them, and peak memory in bytes."""

    size: int
    seconds: float
    optimizer_seconds: float
    bytes: float

    def seconds_of(self, size: int) -> float:
        """What one of another size takes: all but the optimiser's part grows with the batch.

        Two measured sizes would not tell what is fixed: their difference is mostly noise.
        """
        return self.optimizer_seconds + (self.seconds - self.optimizer_seconds) * size / self.size


class Draws(Dataset):
    """Items of batches, drawn from a few scans again and again, from memory or from disk as often as in the training.

    Args:
        dataset: with deterministic transforms before random ones, and nothing cached.
        cache_rate: share of the scans that the training has in memory.

    Attributes:
        load_seconds, draw_seconds: to load a scan, and to draw its crops and masks.
        item_bytes: of a scan in memory.
    """

    def __init__(self, dataset: TolerantCacheDataset, cache_rate: float) -> None:
        self.dataset = dataset
        started = time.perf_counter()
        self.scans = [dataset._load_cache_item(place) for place in range(min(SCANS, len(dataset)))]
        loaded = time.perf_counter()
        dataset._cache, dataset.cache_num, dataset.epoch_seed = self.scans, len(self.scans), 0
        for place in range(len(self.scans)):
            dataset[place]
        self.load_seconds = (loaded - started) / len(self.scans)
        self.draw_seconds = (time.perf_counter() - loaded) / len(self.scans)
        self.item_bytes = statistics.mean(size_of(scan) for scan in self.scans)
        dataset.cache_num = math.ceil(cache_rate * len(self.scans))

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index % len(self.scans)]


class TrainingJob:
    """Network, optimiser, loss and a few scans of a bundle's training, and nothing that stays behind.

    Args:
        folder: the bundle's.
        overlays: laid over ``train.json``, as ``overlay_paths`` takes them.
        overrides: of the bundle's keys.

    Attributes:
        items, batch_size, epochs, cache_rate, threads: of the whole training; ``threads`` fill the cache.
        caches_on_disk: whether all scans are kept there, and none in memory.
        draws: its scans.
    """

    def __init__(self, folder: Path, overlays: Sequence[str] | str, overrides: Mapping[str, Any]) -> None:
        config = folder / "configs" / "train.json"
        if not config.is_file():
            raise UserError(f"no {config}: name a bundle's folder")
        self.name = folder.name
        self.parser = ConfigParser(ConfigParser.load_config_files([config, *overlay_paths(folder, overlays)]))
        self.parser.read_meta(folder / "configs" / "metadata.json")
        self.parser.update({"bundle_root": str(folder)} | dict(overrides))
        self.cache_rate = float(self.parsed("cache_rate"))
        self.caches_on_disk = self.parsed("cache_dir") is not None
        if self.caches_on_disk:
            self.disk = TemporaryDirectory()  # an empty one: a scan is to be loaded, and what is left to be removed
            self.cache_rate = 0.0
            self.parser.update({"cache_dir": self.disk.name})
        self.parser.update({"cache_rate": 0.0, "train#dataset#progress": False})
        self.device = torch.device(self.parsed("device"))
        for number in range(len(self.parser["initialize"])):
            self.parsed(f"initialize#{number}")
        dataset = self.parsed("train#dataset")
        self.items, self.epochs = len(dataset), self.parsed("train#trainer#max_epochs")
        self.batch_size, self.threads = self.parsed("batch_size"), self.parsed("train#dataset#num_workers")
        self.draws = Draws(dataset, self.cache_rate)

    def parsed(self, key: str) -> Any:
        return self.parser.get_parsed_content(key)

    @property
    def dtype(self) -> torch.dtype:
        """Of matrix products in training."""
        return self.parsed("train#trainer#amp_kwargs#dtype") if self.parsed("amp") else torch.float32

    @property
    def caches_on_device(self) -> bool:
        """Whether the cache takes memory from the training."""
        return not self.caches_on_disk and all(
            value.device.type == self.device.type
            for scan in self.draws.scans for value in scan.values() if isinstance(value, Tensor)
        )  # fmt: skip

    @cached_property
    def parameters(self) -> int:
        return sum(weight.numel() for weight in self.parsed("network").parameters())

    def measure(self, seconds: float, batch_size: int) -> list[Step]:
        """Steps of batches of 2 (some networks need two), 4 and so on, the last of ``batch_size`` if time is enough.

        There are two sizes at least, as far as memory goes, and two steps of each; for a ``batch_size`` of 1 these are
        1 and 2.

        Raises:
            UserError: if memory is not enough for these.
        """
        deadline, size = time.perf_counter() + seconds, min(2, batch_size)
        largest = max(batch_size, 2 * size)
        steps: list[Step] = []
        while True:
            try:
                steps.append(self.time_steps(size, deadline, size >= batch_size))
            except torch.OutOfMemoryError as error:
                if len(steps) > 1:
                    return steps
                raise UserError(f"a batch of {size} does not fit into memory: choose a smaller network") from error
            if len(steps) > 1 and (size >= batch_size or not twice_fits(steps[-1].seconds, deadline)):
                return steps
            size = min(2 * size, largest)

    def time_steps(self, size: int, deadline: float, is_last: bool) -> Step:
        """Medians over iterations of the trainer, each from the end of the one before, data included."""
        names = ("network", "optimizer", "prepare_batch", "inferer", "amp", "amp_kwargs", "loss_function")
        parts = {name: self.parsed(f"train#trainer#{name}") for name in names}
        loader = PrefetchDataLoader(Subset(self.draws, range(size * STEPS)), batch_size=size)
        backwards, optimized, ends = [], [], []
        trainer = SupervisedTrainer(self.device, 1, loader, **parts, train_handlers=[NonFiniteGuard()], decollate=False)
        trainer.add_event_handler(IterationEvents.BACKWARD_COMPLETED, lambda: backwards.append(now(self.device)))
        trainer.add_event_handler(IterationEvents.MODEL_COMPLETED, lambda: optimized.append(now(self.device)))

        @trainer.on(Events.ITERATION_COMPLETED)
        def note(engine: SupervisedTrainer) -> None:
            ends.append(now(self.device))
            if len(ends) >= FEWEST_STEPS:
                is_enough = not is_last and twice_fits(ends[-1] - ends[-2], deadline)
                if is_enough or ends[-1] > deadline:
                    engine.terminate()

        reset_peak(self.device)
        trainer.run()
        return Step(
            size,
            statistics.median(end - start for start, end in itertools.pairwise(ends)),
            statistics.median(end - start for start, end in zip(backwards[1:], optimized[1:], strict=True)),
            peak_mib(self.device) * MIB,
        )

    def flops_an_item(self) -> float:
        """Floating-point operations of a step in matrix products and convolutions, as ``count_flops`` counts them."""
        network = self.parsed("network_def")
        meta = type(network)(**network.facts).to("meta").eval()
        image, _, *more = self.parsed("prepare_batch")(list_data_collate([self.draws[0]]), "meta")
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            prediction = meta(image, *(more[0] if more else ()))
            prediction.sum().backward()
        return counter.get_total_flops()


def twice_fits(seconds: float, deadline: float) -> bool:
    """Whether there is time for a batch of twice the size of one whose steps take so long."""
    return time.perf_counter() + 2 * FEWEST_STEPS * seconds < deadline


def size_of(scan: Any) -> int:
    """Bytes of its tensors."""
    values = scan.values() if isinstance(scan, Mapping) else [scan]
    return sum(value.numel() * value.element_size() for value in values if isinstance(value, Tensor))
