"""What does each lever of speed do to one training step? With it and without it, in turns.

Run from the top of the repository: python -m benchmarks.step_levers

Steps of `bench`'s masked autoencoders, and of the organ segmenter with the sizes of its ``quick.json``; none of these
levers changes a result beyond rounding. Each side is in a process of its own, as in ``bench``, and they take turns;
memory is the peak above the imported interpreter.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import fire
import torch
from monai.bundle import ConfigParser
from torch.nn.attention import SDPBackend, sdpa_kernel

from monai_mae_ext.bench.arm import ArmProcess
from monai_mae_ext.bench.cases import CASES, TrainingStep, training_step
from monai_mae_ext.bench.machine import describe_machine, machine_line
from monai_mae_ext.host_memory import keep_freed_memory
from monai_mae_ext.networks import MaskedAutoencoder

CPU = torch.device("cpu")
SEGMENTER = Path("bundles/ct_multiorgan_segmentation/configs")
Step = Callable[[], Any]


def compiled(case: str, on: bool) -> Step:
    step = training_step(CASES[case], "self", CPU)
    if on:
        step.network = torch.compile(step.network)
    return step


def fused_optimizer(case: str, on: bool) -> Step:
    step = training_step(CASES[case], "self", CPU)
    step.optimizer = torch.optim.AdamW(step.network.parameters(), fused=on)
    return step


def fused_attention(case: str, on: bool) -> Step:
    step = training_step(CASES[case], "self", CPU)

    def call() -> None:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION if on else SDPBackend.MATH):
            step()

    return call


def kept_memory(case: str, on: bool, arm: str = "self", **sizes: int) -> Step:
    """The one lever that the other steps have on both sides."""
    chosen = replace(CASES[case], **sizes)
    return training_step(chosen, arm, CPU) if on else TrainingStep(chosen, arm, CPU)


def checkpointing(case: str, on: bool) -> Step:
    step = training_step(CASES[case], "self", CPU)
    step.network = MaskedAutoencoder(**step.network.facts | {"checkpointing": on})
    step.optimizer = torch.optim.AdamW(step.network.parameters(), fused=True)
    return step


def channels_last(decoder: str, on: bool) -> Step:
    """One crop through the segmenter, whose decoder is convolutional."""
    keep_freed_memory(CPU)
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
    Lever("freed memory kept", kept_memory, "cxr_224"),
    Lever("freed memory kept, batch of 32", partial(kept_memory, batch_size=32), "cxr_224"),
    Lever("freed memory kept, MONAI's network", partial(kept_memory, arm="monai"), "cxr_1280"),
    Lever("gradient checkpointing", checkpointing, "cxr_224"),
    Lever("gradient checkpointing", checkpointing, "cxr_1280"),
    Lever("torch.compile", compiled, "cxr_224"),
    Lever("torch.compile", compiled, "ct_128"),
    Lever("channels last", channels_last, "light"),
    Lever("channels last", channels_last, "unetr"),
)


def row_of(lever: Lever, rounds: int) -> str:
    """Both sides in turns, after two steps of each to warm up: a line of the table."""
    with ExitStack() as stack:
        sides = [
            stack.enter_context(ArmProcess(lever.name, partial(lever.build, lever.subject, on), CPU))
            for on in (False, True)
        ]
        turns = [[side.step() for side in sides] for _ in range(1 + rounds)][1:]
    without, with_it = ([seconds for seconds, _ in steps] for steps in zip(*turns, strict=True))
    ratios = [one / other for one, other in zip(without, with_it, strict=True)]
    gain = f"{median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
    memory = " | ".join(f"{mib:,.0f}" for _, mib in turns[-1])
    return f"| {lever.name} | {lever.subject} | {median(without):.2f} s | {median(with_it):.2f} s | {gain} | {memory} |"


def main(rounds: int = 5) -> None:
    """Print the table, a lever a line."""
    print(machine_line(describe_machine(CPU)))
    print("| lever | step | without | with | speedup (min to max) | MiB without | MiB with |\n" + "|---" * 7 + "|")
    for lever in LEVERS:
        print(row_of(lever, rounds), flush=True)


if __name__ == "__main__":
    fire.Fire(main)
