"""From measured steps to numbers, and from numbers to a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from monai_mae_ext.bench.machine import machine_line

__all__ = ["Measurement", "format_report", "summarize"]

ROW = "{:<9} {:>5} {:<6} {:>9} {:>16} {:>8} {:>9} {:>7} {:>6}"
HEADER = ROW.format("case", "batch", "arm", "median s", "min - max s", "speedup", "peak MiB", "memory", "FLOPs")


@dataclass
class Measurement:
    """What one arm did: seconds of its training steps, and the machine's FLOP/s in matrix products right before and
    after each, one entry a round; and the arm's peak memory in MiB."""

    seconds: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    peak_mib: float = 0.0


def summarize(arm: Measurement, baseline: Measurement, flops: int) -> dict[str, float]:
    """Numbers of one arm.

    Args:
        arm, baseline: the arm and the one to compare with, rounds in the same order.
        flops: floating-point operations of one step.

    Returns:
        ``seconds`` (median), ``seconds_min``, ``seconds_max``, ``peak_mib``, ``speedup`` (median over rounds, baseline
        over arm), ``memory_ratio`` (arm over baseline) and ``flops_share`` (median over rounds, achieved rate over the
        machine's).
    """
    return {
        "seconds": median(arm.seconds),
        "seconds_min": min(arm.seconds),
        "seconds_max": max(arm.seconds),
        "peak_mib": arm.peak_mib,
        "speedup": median(theirs / ours for theirs, ours in zip(baseline.seconds, arm.seconds, strict=True)),
        "memory_ratio": arm.peak_mib / baseline.peak_mib,
        "flops_share": median(flops / took / rate for took, rate in zip(arm.seconds, arm.rates, strict=True)),
    }


def format_report(report: Mapping[str, Any]) -> str:
    """A readable table of what ``bench`` writes."""
    lines = [HEADER, "-" * len(HEADER)]
    for case in report["cases"]:
        for arm in case["arms"]:
            spread = f"{arm['seconds_min']:.3f} - {arm['seconds_max']:.3f}"
            speedup, memory = f"{arm['speedup']:.2f}x", f"{arm['memory_ratio']:.3f}x"
            peak, share = f"{arm['peak_mib']:.0f}", f"{arm['flops_share']:.0%}"
            step = case["case"], case["batch_size"], arm["arm"], f"{arm['seconds']:.3f}"
            lines.append(ROW.format(*step, spread, speedup, peak, memory, share))
    return "\n".join([*lines, machine_line(report["machine"])])
