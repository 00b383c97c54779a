"""Peak memory of this process, or of its CUDA device."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

__all__ = ["MIB", "peak_mib", "reset_peak"]

MIB = 2**20
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak(device: torch.device) -> None:
    """Lower the high-water mark to what is in use now.

    Only Linux and CUDA can. Elsewhere the mark stays, and a later ``peak_mib`` may hide what fits below it.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif CLEAR.exists():
        CLEAR.write_text("5")


def peak_mib(device: torch.device) -> float:
    """High-water mark in MiB: of the tensors on a CUDA device, else of this process's resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    if STATUS.exists():
        # getrusage cannot be lowered, and a child starts with its parent's mark.
        kib = next(line.split()[1] for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(kib) * 1024 / MIB
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB
