"""The machine that a measurement belongs to."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import monai
import torch

from monai_mae_ext.bench.flops import matmul_flops_per_second

__all__ = ["describe_machine", "machine_line"]

CPU_INFO = Path("/proc/cpuinfo")


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Processor, threads, versions and the measured float32 matrix-product rate in FLOP/s."""
    return {
        "processor": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name(),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "system": platform.platform(terse=True),
        "torch": torch.__version__,
        "monai": monai.__version__,
        "matmul_flops_per_second": matmul_flops_per_second(device),
    }


def machine_line(machine: Mapping[str, Any]) -> str:
    """What ``describe_machine`` found, in one line."""
    return (
        f"{machine['processor']}, {machine['device']}, {machine['threads']} threads, torch {machine['torch']}, "
        f"monai {machine['monai']}, matrix products at {machine['matmul_flops_per_second'] / 1e9:.0f} GFLOP/s"
    )


def cpu_name() -> str:
    """The processor's marketing name on Linux, elsewhere what Python knows."""
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
