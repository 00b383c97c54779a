"""Does ``plan`` foretell what a training's steps take? Its figure beside those of real runs, bundle by bundle.

Run from the top of the repository: python -m benchmarks.plan_check --out runs/plan_check

As many phantoms as `make quickstart` makes (of fewer, a pass over them is a few steps, and the first of each waits for
its batch), the sizes of each bundle's quick.json (``--overlays "[]"``: those of its train.json), one thread. Plan, with
its default of seconds, and training take turns, because a machine's speed changes by the minute. Epochs are of as many
steps as take some seconds; the first, which warms up, and the last, which validates, are left out.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fire
import torch
from monai.utils import ensure_tuple

from benchmarks.profiles import PHANTOMS
from benchmarks.self_pretraining import bundle
from monai_mae_ext.bench.machine import describe_machine, machine_line
from monai_mae_ext.files import atomic_write
from monai_mae_ext.handlers.history import read_history


def check(
    name: str, overlays: Sequence[str], overrides: dict[str, Any], out: Path, seconds: float
) -> tuple[float, float]:
    """Plan, then train in epochs of so many seconds; returns the seconds of a step, planned and real."""
    keys = overrides | {"ckpt_dir": out / "models", "output_dir": out / "train"}
    own = {"overlays": ",".join(overlays), "json": out / "plan.json"}
    words = [f"--{key}={value}" for key, value in (own | keys).items()]
    out.mkdir(parents=True)
    command = [sys.executable, "-m", "monai_mae_ext", "plan", name, *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    planned = json.loads((out / "plan.json").read_text())["step_seconds"]
    steps = max(1, round(seconds / planned))
    schedule = {"epochs": 4, "warmup_epochs": 0, "val_interval": 4, "train#trainer#epoch_length": steps}
    bundle(name, "training", ("train", *overlays), out / "training.txt", **keys, **schedule)
    epochs = read_history(out / "train" / "history.csv")[1:-1]
    return planned, statistics.median(row["seconds"] for row in epochs) / steps


def markdown(rows: list[dict[str, Any]]) -> str:
    lines = ["| bundle | planned step | real step | planned / real (min to max) |", "|---|---|---|---|"]
    for row in rows:
        ratios = [planned / real for planned, real in row["seconds"]]
        planned, real = (statistics.median(seconds) for seconds in zip(*row["seconds"], strict=True))
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        lines.append(f"| {row['bundle']} | {planned:.3f} s | {real:.3f} s | {spread} |")
    return "\n".join(lines)


def main(
    out: str = "runs/plan_check",
    seconds: float = 5,
    rounds: int = 3,
    bundles: Sequence[str] | str = (),
    overlays: Sequence[str] | str = ("quick",),
    batch_size: int | None = None,
) -> None:
    """Print the table, write ``report.json`` into ``out``; all bundles, if none is named, with their own batches."""
    torch.set_num_threads(1)
    print(machine_line(describe_machine(torch.device("cpu"))))
    root, rows = Path(out).absolute(), []
    for name in ensure_tuple(bundles) or sorted(str(path) for path in Path("bundles").iterdir()):
        kind = Path(name).name.partition("_")[0]
        data = root / "data" / kind
        if not data.exists():
            PHANTOMS[kind](data)
        folder = root / Path(name).name
        shutil.rmtree(folder, ignore_errors=True)  # a run that is there would go on
        keys = {"dataset_dir": data} | ({} if batch_size is None else {"batch_size": batch_size})
        turns = [check(name, ensure_tuple(overlays), keys, folder / str(turn), seconds) for turn in range(rounds)]
        rows.append({"bundle": Path(name).name, "seconds": turns})
    print(markdown(rows))
    with atomic_write(root / "report.json") as path:
        path.write_text(json.dumps(rows, indent=4) + "\n")


if __name__ == "__main__":
    fire.Fire(main)
