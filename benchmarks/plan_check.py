"""Does ``plan`` foretell what a training's steps take? Its figure beside those of real runs, bundle by bundle.

Run from the top of the repository: python -m benchmarks.plan_check --out runs/plan_check

Phantoms, the sizes of each bundle's quick.json, one thread. Epochs are of as many steps as take some seconds; the
first, which warms up, and the last, which validates, are left out.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import fire

from benchmarks.self_pretraining import bundle
from monai_mae_ext.files import atomic_write
from monai_mae_ext.handlers.history import read_history
from monai_mae_ext.phantoms import write_abdomen_phantoms, write_brain_phantoms, write_chest_phantoms

PHANTOMS: dict[str, Any] = {
    "cxr": lambda folder: write_chest_phantoms(folder, 96, size=256),
    "ct": lambda folder: write_abdomen_phantoms(folder, 12),
    "mri": lambda folder: write_brain_phantoms(folder, 12, spacing=3),
}


def check(name: str, data: Path, out: Path, seconds: float) -> dict[str, Any]:
    """Plan, then train in epochs of about so many seconds."""
    keys = {"dataset_dir": data, "ckpt_dir": out / "models", "output_dir": out / "train"}
    words = [f"--{key}={value}" for key, value in ({"overlays": "quick", "json": out / "plan.json"} | keys).items()]
    out.mkdir(parents=True)
    command = [sys.executable, "-m", "monai_mae_ext", "plan", name, *words]
    subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)
    planned = json.loads((out / "plan.json").read_text())["step_seconds"]
    steps = max(3, round(seconds / planned))
    schedule = {"epochs": 4, "warmup_epochs": 0, "val_interval": 4, "train#trainer#epoch_length": steps}
    bundle(name, "training", ("train", "quick"), out / "training.txt", **keys, **schedule)
    real = statistics.median(row["seconds"] for row in read_history(out / "train" / "history.csv")[1:-1]) / steps
    return {"bundle": Path(name).name, "planned": planned, "real": real, "ratio": planned / real}


def markdown(rows: list[dict[str, Any]]) -> str:
    lines = ["| bundle | planned step | real step | planned / real |", "|---|---|---|---|"]
    lines += [
        f"| {row['bundle']} | {row['planned']:.3f} s | {row['real']:.3f} s | {row['ratio']:.2f} |" for row in rows
    ]
    return "\n".join(lines)


def main(out: str = "runs/plan_check", seconds: float = 8, bundles: tuple[str, ...] = ()) -> None:
    """Print the table, write ``report.json`` into ``out``, which should be new; all bundles, if none is named."""
    root, rows = Path(out).absolute(), []
    for name in bundles or sorted(str(path) for path in Path("bundles").iterdir()):
        kind = Path(name).name.partition("_")[0]
        data = root / "data" / kind
        if not data.exists():
            PHANTOMS[kind](data)
        rows.append(check(name, data, root / Path(name).name, seconds))
    print(markdown(rows))
    with atomic_write(root / "report.json") as path:
        path.write_text(json.dumps(rows, indent=4) + "\n")


if __name__ == "__main__":
    fire.Fire(main)
