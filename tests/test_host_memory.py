"""In processes of their own: what the C library is told once cannot be taken back."""

from __future__ import annotations

import resource
import sys

import pytest
import torch

from monai_mae_ext.host_memory import keep_freed_memory
from tests.processes import FORKS

MIB = 2**20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts page faults alike")


def faults_of_a_second_block(device: str, answers) -> None:
    """Pages that the system hands out for a block of 64 MiB, where one as large was freed before."""
    keep_freed_memory(device)
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(64 * MIB, dtype=torch.uint8)
    answers.put(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)


@pytest.mark.parametrize(("device", "kept"), [("cpu", True), ("cuda", False)])
def test_freed_memory_is_used_again_on_the_cpu(device: str, kept: bool) -> None:
    answers = FORKS.Queue()
    process = FORKS.Process(target=faults_of_a_second_block, args=(device, answers))
    process.start()
    faults = answers.get(timeout=60)
    process.join()
    pages = 64 * MIB // resource.getpagesize()
    assert (faults < pages / 10) == kept, f"{faults} faults of {pages} pages"
