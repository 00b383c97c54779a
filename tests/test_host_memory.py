"""In processes of their own: what the C library is told once cannot be taken back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from monai_mae_ext.host_memory import keep_freed_memory
from tests.processes import FORKS

MIB = 2**20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read from /proc")


def resident_mib() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def held_of_a_freed_block(device: str, answers) -> None:
    """MiB that the process still has of 64 that it filled and freed."""
    keep_freed_memory(device)
    torch.ones(1)
    before = resident_mib()
    torch.ones(64 * MIB, dtype=torch.uint8)
    answers.put(resident_mib() - before)


@pytest.mark.parametrize(("device", "kept"), [("cpu", 64), ("cuda", 0)])
def test_freed_memory_is_kept_for_the_cpu(device: str, kept: float) -> None:
    answers = FORKS.Queue()
    process = FORKS.Process(target=held_of_a_freed_block, args=(device, answers))
    process.start()
    held = answers.get(timeout=60)
    process.join()
    assert held == pytest.approx(kept, abs=8)
