"""Memory that a step frees on the CPU stays with the process, for the next step."""

from __future__ import annotations

import ctypes
import sys

import torch

__all__ = ["keep_freed_memory"]

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
NEVER = -1
LARGEST_KEPT = 2**30
"""Bytes of a block; larger ones come from the system and go back to it, as by default all above 32 MiB do."""


def keep_freed_memory(device: torch.device | str) -> None:
    """Tell the C library to keep what is freed, if the network is on the CPU.

    A training step frees its activations and allocates as many in the next step. By default the C library hands large
    ones back to the system, which clears each page again before the next step may write to it (docs/performance.md has
    what that takes). torch has a cache of its own on GPUs, none on CPUs. The process keeps the memory of its largest
    step until it ends. Where the C library is not glibc, nothing happens.
    """
    if torch.device(device).type != "cpu" or sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, NEVER)
