"""A loader that prepares the next batch in a background thread and loses no error on the way."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from monai.data import DataLoader

__all__ = ["PrefetchDataLoader"]


class PrefetchDataLoader(DataLoader):
    """MONAI's ``DataLoader``, one batch ahead of the loop that consumes it.

    Like MONAI's ``ThreadDataLoader`` it suits cached data and transforms on the GPU. There, however, an error ends the
    thread and with it, silently, the epoch; here it reaches the training loop.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        batches, end = super().__iter__(), object()
        with ThreadPoolExecutor(max_workers=1) as thread:
            upcoming = thread.submit(next, batches, end)
            while (batch := upcoming.result()) is not end:
                upcoming = thread.submit(next, batches, end)
                yield batch
