"""Wall-clock time of work on a device."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

__all__ = ["now", "seconds"]


def now(device: torch.device) -> float:
    """Seconds of a clock, when a CUDA device has finished what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that ``work()`` takes, until a CUDA device has finished it."""
    start = time.perf_counter()
    work()
    return now(device) - start
