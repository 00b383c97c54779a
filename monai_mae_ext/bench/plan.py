"""What a training will cost, before a week is spent on it: parameters, FLOPs, memory, time, and the largest batch."""

from __future__ import annotations

import json as json_format
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from monai_mae_ext.bench.flops import matmul_flops_per_second
from monai_mae_ext.bench.memory import MIB
from monai_mae_ext.bench.training_job import Line, TrainingJob
from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write

__all__ = ["plan"]

GIB = 2**30


def plan(
    bundle: str,
    overlays: Sequence[str] | str = (),
    items: int | None = None,
    memory_gib: float | None = None,
    rate: float | None = None,
    seconds: float = 30,
    json: str | Path | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """Print what a bundle's training will cost, from a few of its own steps on a few of its own scans.

    Steps of batches of 2, 4, 8 and so on items are timed, their data included, until ``seconds`` have passed or the
    batch is as large as the bundle's. What a larger batch takes follows from the last of them: all but the optimiser's
    part grows with the batch. Its memory is read off the straight line that fits them best.

    Args:
        bundle: its folder.
        overlays: configurations laid over ``train.json``, by name or path; as one text, parted by commas.
        items: plan for so many training items, not for those of ``dataset_dir``, which then stand for them.
        memory_gib: plan for so much memory (default: the GPU's, or this machine's).
        rate: plan for a machine that does so many FLOP/s in matrix products, reaches the share of them that this one
            does, and never waits for data: a guess, where only a measurement there tells.
        seconds: to measure, or as long as two steps of two batch sizes take.
        json: file to write the numbers to.
        overrides: of the bundle's keys, such as ``dataset_dir`` and ``batch_size``.

    Returns:
        The numbers; seconds, bytes and counts.

    Raises:
        UserError: for a folder that is no bundle, or data it cannot read.
    """
    job = TrainingJob(Path(bundle), overlays, overrides)
    count = items or job.items
    batch = min(job.batch_size, count)
    steps = job.measure(seconds, batch)
    nearest = [step for step in steps if step.size <= batch][-1]
    memory = Line.through({step.size: step.bytes for step in steps})
    flops = job.flops_an_item()
    here = matmul_flops_per_second(job.device, dtype=job.dtype)
    share = flops * nearest.size / nearest.seconds / here
    limit = memory_gib * GIB if memory_gib else total_memory(job.device)
    step_seconds = nearest.seconds_of(batch) if rate is None else flops * batch / (rate * share)
    steps_an_epoch = count // batch
    cached = count * (1.0 if job.caches_on_disk else job.cache_rate)
    cache = job.draws.item_bytes * cached
    room = limit - memory.start - (cache if job.caches_on_device else 0)
    numbers = {
        "parameters": job.parameters,
        "items": count,
        "batch_size": batch,
        "steps_an_epoch": steps_an_epoch,
        "epochs": job.epochs,
        "flops_an_item": flops,
        "matmul_flops_per_second": here,
        "flops_share": share,
        "measured_steps": [step._asdict() for step in steps],
        "step_seconds": step_seconds,
        "step_bytes": memory(batch),
        "memory_limit": limit,
        "largest_batch": max(0, int(room // memory.slope)) if memory.slope > 0 else None,
        "item_bytes": job.draws.item_bytes,
        "load_seconds": job.draws.load_seconds,
        "draw_seconds": job.draws.draw_seconds,
        "cache_bytes": cache,
        "caches_on_disk": job.caches_on_disk,
        "fill_cache_seconds": job.draws.load_seconds * cached / job.threads,
        "items_a_second": batch / step_seconds,
        "epoch_seconds": steps_an_epoch * step_seconds,
    }
    numbers["training_seconds"] = numbers["epoch_seconds"] * job.epochs
    print(report(numbers, job.name))
    if json is not None:
        with atomic_write(json) as temporary:
            temporary.write_text(json_format.dumps(numbers, indent=2) + "\n")
    return numbers


def total_memory(device: torch.device) -> float:
    """Bytes of the device, or of this machine.

    Raises:
        UserError: where the system does not tell.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError) as error:
        raise UserError("this system does not tell how much memory it has: give --memory_gib") from error


def report(numbers: dict[str, Any], name: str) -> str:
    """Lines to print."""
    n = numbers
    largest = {None: "as large as you like", 0: "none: a smaller cache_rate leaves more room"}
    fits = largest.get(n["largest_batch"], n["largest_batch"])
    where, cores = "on disk" if n["caches_on_disk"] else "in memory", n["items_a_second"] * n["draw_seconds"]
    measured = ", ".join(f"{step['size']}: {step['seconds']:.3g} s" for step in n["measured_steps"])
    rows = [
        ("network", f"{n['parameters']:,} parameters, {n['flops_an_item'] / 1e9:,.4g} GFLOP an item and step"),
        ("measured steps", f"of batches of {measured}; {n['flops_share']:.0%} of the matrix-product rate"),
        ("step", f"{n['step_seconds']:.3g} s for a batch of {n['batch_size']}, {n['step_bytes'] / MIB:,.0f} MiB"),
        ("largest batch", f"in {n['memory_limit'] / GIB:.1f} GiB, with the cache: {fits}"),
        ("an item", f"{n['load_seconds'] * 1e3:.3g} ms to load, {n['draw_seconds'] * 1e3:.3g} ms to augment and mask"),
        ("data", f"{n['items_a_second']:,.3g} items a second are wanted; {cores:.2g} cores augment and mask as many"),
        ("cache", f"{n['cache_bytes'] / GIB:,.2f} GiB {where}, filled in {duration(n['fill_cache_seconds'])}"),
        ("epoch", f"{n['steps_an_epoch']:,} steps, {duration(n['epoch_seconds'])}"),
        ("training", f"{n['epochs']} epochs, {duration(n['training_seconds'])}, validation not counted"),
    ]  # fmt: skip
    return "\n".join([f"{name}, {n['items']:,} items", *(f"{key:<15} {value}" for key, value in rows)])


def duration(seconds: float) -> str:
    """For people."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.3g} seconds"
