"""A cache that survives a few bad files: each is named once, and its neighbour takes its place."""

from __future__ import annotations

import functools
import logging
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

from monai.data import CacheDataset
from tqdm import tqdm

from monai_mae_ext.data.disk_cache import DiskCache, is_random
from monai_mae_ext.data.epoch_order import SeededDraws
from monai_mae_ext.errors import UserError, user_error_behind

__all__ = ["TolerantCacheDataset"]

logger = logging.getLogger(__name__)

NAMES_SHOWN = 3


class TolerantCacheDataset(SeededDraws, CacheDataset):
    """MONAI's ``CacheDataset``, in which a few files may be bad.

    An item whose deterministic transforms raise is named once in the log and replaced, from then on, by the next good
    item of ``data``: cached or not, in threads that fill the cache and in ``DataLoader`` workers, which share what they
    found. Errors of the random transforms are bugs, and pass. The arguments are ``CacheDataset``'s, and:

    Args:
        max_bad_files: how many bad items are put up with.
        cache_dir: where items are kept on disk, mapped into memory when they are used, instead of ``cache_rate`` of
            them in main memory: see ``DiskCache``.

    Raises:
        UserError: (when cached or fetched) with the first names, for more bad items than that, or no good one.
    """

    def __init__(
        self,
        data: Sequence,
        transform: Sequence[Callable] | Callable | None = None,
        cache_num: int = sys.maxsize,
        cache_rate: float = 1.0,
        num_workers: int | None = 1,
        progress: bool = True,
        copy_cache: bool = True,
        runtime_cache: bool | str = False,
        max_bad_files: int = 20,
        cache_dir: str | os.PathLike | None = None,
    ) -> None:
        self.max_bad_files = max_bad_files
        self.disk: DiskCache | None = None
        super().__init__(
            data,
            transform,
            cache_num=cache_num,
            cache_rate=cache_rate if cache_dir is None else 0.0,
            num_workers=num_workers,
            progress=progress and cache_dir is None,
            copy_cache=copy_cache,
            runtime_cache=runtime_cache,
        )
        if cache_dir is not None:
            self.disk = DiskCache(cache_dir, self.transform)

    def set_data(self, data: Sequence) -> None:
        """Take other data, and forget which items were bad."""
        # One flag an item, in memory that DataLoader workers share; what the spawn context makes, forks can share too.
        self.bad = multiprocessing.get_context("spawn").Array("b", len(data))
        super().set_data(data)

    def _fill_cache(self, indices: Sequence[int] | None = None) -> list:
        """Fill the cache in threads that rest when an error leaves here: at work, they would crash Python's exit."""
        indices = range(self.cache_num) if indices is None else indices
        with ThreadPoolExecutor(self.num_workers) as threads:
            items = threads.map(self._load_cache_item, indices)
            return list(tqdm(items, "Loading dataset", len(indices), disable=not self.progress))

    def _load_cache_item(self, idx: int) -> Any:
        error = None
        for candidate in chain(range(idx, len(self)), range(idx)):
            if not self.bad[candidate]:
                try:
                    return self.load_or_recall(candidate)
                except Exception as caught:
                    error = caught
                    self.note_bad(candidate, error)
        raise self.too_many_bad(error) from error

    def load_or_recall(self, index: int) -> Any:
        """An item behind the deterministic transforms, from the disk if it is there."""
        make = functools.partial(super()._load_cache_item, index)
        return make() if self.disk is None else self.disk.item(self.data[index], make)

    def _transform(self, index: int) -> Any:
        index = range(len(self))[index]  # from the end if it is negative; past it ends a loop over the data set
        self.seed_draws(index)
        if index < self.cache_num:
            return super()._transform(index)
        item = self._load_cache_item(index)
        first_random = self.transform.get_index_of_first(is_random)
        return item if first_random is None else self.transform(item, start=first_random)

    def note_bad(self, index: int, error: Exception) -> None:
        """Flag an item; name it in the log if nobody did; raise a ``UserError`` if it is one too many."""
        with self.bad.get_lock():
            is_news = not self.bad[index]
            self.bad[index] = True
            count = sum(self.bad[:])
        if is_news:
            logger.warning("bad file %s is replaced by the next good one: %s", self.name_of(index), root_cause(error))
        if count > self.max_bad_files:
            raise self.too_many_bad(error) from error

    def too_many_bad(self, error: Exception | None) -> UserError:
        """Return the error that counts the bad items, names the first, and tells of the last what was wrong."""
        bad = [index for index, is_bad in enumerate(self.bad[:]) if is_bad]
        names = ", ".join(self.name_of(index) for index in bad[:NAMES_SHOWN])
        return UserError(
            f"{len(bad)} of {len(self)} files are bad, max_bad_files allows {self.max_bad_files}: {names}"
            f"{', ...' if len(bad) > NAMES_SHOWN else ''}{f' (the last: {root_cause(error)})' if error else ''}; "
            "list them all with: python -m monai_mae_ext audit DIR"
        )

    def name_of(self, index: int) -> str:
        """Return an item's ``scan``, a path, or else its image path, or else its number."""
        item = self.data[index]
        names = [item[key] for key in ("scan", "image") if key in item] if isinstance(item, dict) else []
        return str(names[0]) if names else f"item {index}"


def root_cause(error: BaseException) -> str:
    """Return in one line what the user can mend behind ``error``, or else the first of its causes."""
    if user_error := user_error_behind(error):
        return str(user_error)
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
