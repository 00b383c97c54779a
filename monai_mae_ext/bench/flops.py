"""Floating-point operations: how many a training step needs, and how many this machine does in a second."""

from __future__ import annotations

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from monai_mae_ext.bench.cases import Case, TrainingStep
from monai_mae_ext.bench.clock import seconds

__all__ = ["count_flops", "matmul_flops_per_second"]


def count_flops(case: Case, arm: str) -> int:
    """Floating-point operations in the matrix products of one forward and backward pass; a multiply-add counts as two.

    torch's counter does not know the CPU's fused attention, so attention runs as plain matrix products, on the meta
    device, where they cost nothing. What a fused backward pass recomputes is therefore not counted: this is the work
    that the mathematics asks for, whichever way attention is computed.
    """
    step = TrainingStep(case, arm, torch.device("meta"))
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        predicted, _ = step.predict()
        predicted.sum().backward()
    return counter.get_total_flops()


def matmul_flops_per_second(
    device: torch.device, size: int = 2048, repeats: int = 8, dtype: torch.dtype = torch.float32
) -> float:
    """The rate of ``repeats`` products of two ``size x size`` matrices, one after another, with torch's threads.

    Sustained, not the best of them: a machine whose speed wavers does not reach its best over a whole step either.
    """
    matrix = torch.rand(size, size, device=device).to(dtype)
    matrix @ matrix

    def products() -> None:
        for _ in range(repeats):
            matrix @ matrix

    return 2 * size**3 * repeats / seconds(products, device)
