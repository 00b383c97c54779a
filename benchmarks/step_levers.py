"""What does each lever of speed do to one training step? With it and without it, in turns.

Run from the top of the repository: python -m benchmarks.step_levers

Steps of `bench`'s masked autoencoders, and of the organ segmenter with the sizes of its ``quick.json``; none of these
levers changes a result beyond rounding. Both sides take turns in one process; memory is the peak of a side alone in
a process of its own, above the imported interpreter.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import fire
import torch
from monai.bundle import ConfigParser
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.own_process import in_own_process
from monai_mae_ext.bench.arm import load_lazy_parts
from monai_mae_ext.bench.cases import CASES, TrainingStep
from monai_mae_ext.bench.clock import seconds
from monai_mae_ext.bench.machine import describe_machine, machine_line
from monai_mae_ext.bench.memory import peak_mib, reset_peak
from monai_mae_ext.networks import MaskedAutoencoder

CPU = torch.device("cpu")
SEGMENTER = Path("bundles/ct_multiorgan_segmentation/configs")
Step = Callable[[], Any]


def compiled(case: str, on: bool) -> Step:
    step = TrainingStep(CASES[case], "self", CPU)
    if on:
        step.network = torch.compile(step.network)
    return step


def fused_optimizer(case: str, on: bool) -> Step:
    step = TrainingStep(CASES[case], "self", CPU)
    step.optimizer = torch.optim.AdamW(step.network.parameters(), fused=on)
    return step


def fused_attention(case: str, on: bool) -> Step:
    step = TrainingStep(CASES[case], "self", CPU)

    def call() -> None:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION if on else SDPBackend.MATH):
            step()

    return call


def checkpointing(case: str, on: bool) -> Step:
    step = TrainingStep(CASES[case], "self", CPU)
    step.network = MaskedAutoencoder(**step.network.facts | {"checkpointing": on})
    step.optimizer = torch.optim.AdamW(step.network.parameters(), fused=True)
    return step


def channels_last(decoder: str, on: bool) -> Step:
    """One crop through the segmenter, whose decoder is convolutional."""
    config = ConfigParser(ConfigParser.load_config_files([SEGMENTER / "train.json", SEGMENTER / "quick.json"]))
    config.read_meta(SEGMENTER / "metadata.json")
    config["network_def#decoder"] = decoder
    network = config.get_parsed_content("network_def")
    image = torch.rand(1, 1, *config.get_parsed_content("roi"))
    if on:
        network, image = (thing.to(memory_format=torch.channels_last_3d) for thing in (network, image))
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        network(image).square().mean().backward()
        optimizer.step()

    return step


class Lever(NamedTuple):
    """A way to take a step with it or without it, and what the step is of."""

    name: str
    build: Callable[[str, bool], Step]
    subject: str


LEVERS = (
    Lever("fused attention", fused_attention, "cxr_224"),
    Lever("fused attention", fused_attention, "cxr_1280"),
    Lever("fused AdamW", fused_optimizer, "cxr_224"),
    Lever("gradient checkpointing", checkpointing, "cxr_224"),
    Lever("gradient checkpointing", checkpointing, "cxr_1280"),
    Lever("torch.compile", compiled, "cxr_224"),
    Lever("torch.compile", compiled, "ct_128"),
    Lever("channels last", channels_last, "light"),
    Lever("channels last", channels_last, "unetr"),
)


def take_turns(lever: Lever, rounds: int) -> list[tuple[float, float]]:
    """Seconds of a step without and with the lever, after two of each to warm up."""
    sides = [lever.build(lever.subject, on) for on in (False, True)]
    turns = []
    for _ in range(rounds + 2):
        without, with_it = (seconds(step, CPU) for step in sides)
        turns.append((without, with_it))
    return turns[2:]


def peak(lever: Lever, on: bool) -> float:
    """MiB that two steps need."""
    load_lazy_parts(CPU)
    reset_peak(CPU)
    imported = peak_mib(CPU)
    step = lever.build(lever.subject, on)
    for _ in range(2):
        step()
    return peak_mib(CPU) - imported


def row_of(lever: Lever, turns: list[tuple[float, float]], memory: tuple[float, float]) -> str:
    without, with_it = (statistics.median(side) for side in zip(*turns, strict=True))
    ratios = [one / other for one, other in turns]
    gain = f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
    return (
        f"| {lever.name} | {lever.subject} | {without:.2f} s | {with_it:.2f} s | {gain} | "
        f"{memory[0]:,.0f} | {memory[1]:,.0f} |"
    )


def main(rounds: int = 5) -> None:
    """Print the table, a lever a line."""
    print(machine_line(describe_machine(CPU)))
    print("| lever | step | without | with | speedup (min to max) | MiB without | MiB with |\n" + "|---" * 7 + "|")
    for lever in LEVERS:
        turns = in_own_process(take_turns, lever, rounds)
        memory = in_own_process(peak, lever, False), in_own_process(peak, lever, True)
        print(row_of(lever, turns, memory), flush=True)


if __name__ == "__main__":
    fire.Fire(main)
