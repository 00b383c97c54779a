"""One training step at 1280 px for each profile of the bundle's ``hd.json``: parameters, tokens, peak memory, seconds.

Run from the top of the repository: python -m benchmarks.hd_step [--device cuda]
"""

from __future__ import annotations

import time
from pathlib import Path

import fire
import torch
from monai.bundle import ConfigParser

from benchmarks.own_process import in_own_process
from monai_mae_ext.bench.machine import describe_machine, machine_line
from monai_mae_ext.bench.memory import peak_mib

CONFIGS = Path(__file__).parents[1] / "bundles" / "cxr_mae_pretraining" / "configs"
COMMON = ("train.json", "context_masking.json", "hd.json")
PROFILES = {"fine": COMMON, "paper": (*COMMON, "hd_paper.json")}


def step(profile: str, device: str) -> str:
    """Two steps on noise with batch 1, of which the second is timed: a row of the table."""
    config = ConfigParser(ConfigParser.load_config_files([str(CONFIGS / name) for name in PROFILES[profile]]))
    config["device"] = device
    network, loss, masking = (config.get_parsed_content(key) for key in ("network", "loss", "train#masking"))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    size = config.get_parsed_content("image_size")
    image, thorax = torch.rand(1, 1, size, size, device=device), torch.zeros(1, size, size)
    thorax[:, size // 4 : size * 3 // 4, size // 4 : size * 3 // 4] = 1
    visible, hidden = (index[None].to(device) for index in masking(image[0], thorax))
    for _ in range(2):
        started = time.perf_counter()
        optimizer.zero_grad()
        loss(network(image, visible, hidden), {"image": image, "visible": visible, "hidden": hidden}).backward()
        optimizer.step()
        float(next(network.parameters()).detach().flatten()[0])  # waits for the device
        seconds = time.perf_counter() - started
    millions = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    memory = peak_mib(torch.device(device)) / 1024
    tokens = f"{visible.shape[1]} visible, {hidden.shape[1]} predicted of {network.n_tokens}"
    return f"| {profile} | {millions:.0f} M | {tokens} | {memory:.2f} GiB | {seconds:.1f} s |"


def main(device: str = "cpu", profiles: tuple[str, ...] = tuple(PROFILES)) -> None:
    """Print the table; each profile runs in a process of its own."""
    print(machine_line(describe_machine(torch.device(device))))
    print("| profile | parameters | tokens | peak memory | one step |\n| --- | --- | --- | --- | --- |", flush=True)
    for profile in profiles:
        print(in_own_process(step, profile, device), flush=True)


if __name__ == "__main__":
    fire.Fire(main)
