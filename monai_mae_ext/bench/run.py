"""Run the comparison: every arm in its own process, taking turns."""

from __future__ import annotations

import json as json_format
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from monai_mae_ext.bench.arm import ArmProcess
from monai_mae_ext.bench.cases import ARMS, CASES, Case, training_step
from monai_mae_ext.bench.flops import count_flops, matmul_flops_per_second
from monai_mae_ext.bench.machine import describe_machine
from monai_mae_ext.bench.report import Measurement, format_report, summarize
from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write

__all__ = ["bench"]


def bench(
    cases: Sequence[str] | str = ("cxr_224", "cxr_1280"),
    json: str | Path | None = None,
    rounds: int = 5,
    device: str = "cpu",
    batch_size: int | None = None,
) -> None:
    """Compare one training step of this package's masked autoencoder with two others, and print a table.

    Arms are ``monai`` (``MaskedAutoEncoderViT``), ``torch`` (the paper's recipe in torch's own layers), ``self``
    (self-attention decoder, all hidden tokens predicted) and ``cross`` (cross-attention decoder, a quarter of all
    tokens predicted), with the same sizes, optimiser and float32 arithmetic. They take turns, each in a process of its
    own. The table has, for one step (forward, loss, backward, AdamW): the median time with its spread; the speedup, a
    median over rounds of MONAI's time over the arm's; the peak memory above the imported interpreter, in MiB and
    relative to MONAI's; the share that the step reaches of the machine's own rate of float32 matrix products, which is
    measured right before and after it (median over rounds).

    Args:
        cases: names out of ``cxr_224`` and ``cxr_512`` (ViT-B), ``mri_96`` (ViT-B on tokens of 16 voxels), ``cxr_1280``
            (a small ViT on 6400 tokens; MONAI needs about 6 GiB), ``ct_128`` (the same ViT on the 4096 tokens of a
            superpatch) and ``smoke`` (tiny, to see that it runs).
        json: file to write the numbers to: ``{"machine": {...}, "cases": [{"case", "batch_size", "arms": [{"arm",
            "seconds", "seconds_min", "seconds_max", "peak_mib", "speedup", "memory_ratio", "flops_share"}]}]}``.
        rounds: timed steps of every arm, after one to warm up.
        device: ``"cpu"`` or a CUDA device.
        batch_size: instead of the cases' own, which are small: the larger, the less the optimiser's part counts.

    Raises:
        UserError: for an unknown case, no rounds, an empty batch, a missing device, or if an arm's process dies.
    """
    names = [cases] if isinstance(cases, str) else list(cases)
    unknown = sorted(set(names) - set(CASES))
    if unknown:
        raise UserError(f"unknown cases {unknown}: choose from {list(CASES)}")
    if rounds < 1:
        raise UserError(f"rounds is at least 1, not {rounds}")
    if batch_size is not None and batch_size < 1:
        raise UserError(f"batch_size is at least 1, not {batch_size}")
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"device {device!r} is not there: torch sees no CUDA; use --device cpu")
    chosen = {name: replace(CASES[name], batch_size=batch_size or CASES[name].batch_size) for name in names}
    machine = describe_machine(torch.device(device))
    with tqdm(total=len(chosen) * len(ARMS) * (rounds + 1), unit="step") as progress:
        measured = {name: measure(name, case, rounds, torch.device(device), progress) for name, case in chosen.items()}
    report = {"machine": machine, "cases": [describe_case(name, chosen[name], measured[name]) for name in chosen]}
    print(format_report(report))
    if json is not None:
        with atomic_write(json) as temporary:
            temporary.write_text(json_format.dumps(report, indent=2) + "\n")


def measure(name: str, case: Case, rounds: int, device: torch.device, progress: tqdm) -> dict[str, Measurement]:
    """Let the arms of one case take turns."""
    measured = {arm: Measurement() for arm in ARMS}
    with ExitStack() as stack:
        processes: dict[str, ArmProcess] = {}
        for arm in ARMS:
            progress.set_description(f"{name} {arm}")
            step = partial(training_step, case, arm, device)
            processes[arm] = stack.enter_context(ArmProcess(f"{arm} of {name}", step, device))
            progress.update()
        before = matmul_flops_per_second(device)
        for _ in range(rounds):
            for arm in ARMS:
                progress.set_description(f"{name} {arm}")
                seconds, measured[arm].peak_mib = processes[arm].step()
                after = matmul_flops_per_second(device)
                measured[arm].seconds.append(seconds)
                measured[arm].rates.append((before + after) / 2)
                before = after
                progress.update()
    return measured


def describe_case(name: str, case: Case, measured: Mapping[str, Measurement]) -> dict[str, Any]:
    """The JSON object of one case."""
    arms = [
        {"arm": arm} | summarize(measurement, measured["monai"], count_flops(case, arm))
        for arm, measurement in measured.items()
    ]
    return {"case": name, "batch_size": case.batch_size, "arms": arms}
