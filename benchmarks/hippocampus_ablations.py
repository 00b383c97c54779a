"""How much to hide, and how long to pre-train? Behind benchmarks.hippocampus, in the same folder.

Run from the top of the repository: python -m benchmarks.hippocampus_ablations DATASET_DIR --out runs/hippocampus

Each pre-training differs from the benchmark's in one thing; its encoder is frozen under the head that never sees the
image, with few labels and the learning rate that the benchmark chose, by its report. Random encoders too.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import fire
import numpy as np

from benchmarks.hippocampus import FEW, PRETRAINING, SEEDS, Run, chosen_rates, pretrain_all, run_all, write_lists
from benchmarks.segmentation_runs import scan_dice
from benchmarks.settings import keep_settings
from monai_mae_ext.files import atomic_write

PROTOCOL = "frozen encoder, head"
ABLATIONS: dict[str, dict[str, Any]] = {
    "hidden50": {"mask_ratio": 0.5},
    "hidden90": {"mask_ratio": 0.9},
    "epochs15": {"epochs": 15},
    "epochs120": {"epochs": 120},
}


def rows_of(out: Path, best: dict[str, float]) -> list[dict[str, Any]]:
    """What each encoder was pre-trained with, its health, and the mean test Dice with each fine-tuning seed."""
    rows = []
    for name, changes in {"scratch": None, "seed0": {}, **ABLATIONS}.items():
        start, base_lr = (None, best["scratch"]) if changes is None else (name, best["self-pretrained"])
        runs = [Run(PROTOCOL, FEW, start, base_lr, seed) for seed in SEEDS]
        dice = [scan_dice(run.folder(out) / "test").mean().item() for run in runs]
        row: dict[str, Any] = {"encoder": name, "mean": np.mean(dice).item(), "seeds": dice}
        if changes is not None:
            row |= {key: (PRETRAINING | changes)[key] for key in ("mask_ratio", "epochs")}
            with open(out / "pretraining" / name / "history.csv", newline="") as file:
                last = [line for line in csv.DictReader(file) if line["loss_model"]][-1]
            row |= {key: float(last[key]) for key in ("loss_model", "loss_position_only", "rank", "rank_random")}
        rows.append(row)
    return rows


def markdown(rows: list[dict[str, Any]]) -> str:
    lines = ["| hidden | epochs | loss / position only | rank / random | mean Dice | seed by seed |"]
    lines += ["|---|---|---|---|---|---|"]
    for row in rows:
        seeds = ", ".join(f"{value:.3f}" for value in row["seeds"])
        if row["encoder"] == "scratch":
            settings = "| random encoder | | | "
        else:
            settings = (
                f"| {row['mask_ratio']:.0%} | {row['epochs']} | {row['loss_model']:.3f} / "
                f"{row['loss_position_only']:.3f} | {row['rank']:.1f} / {row['rank_random']:.1f} "
            )
        lines.append(f"{settings}| {row['mean']:.3f} | {seeds} |")
    return "\n".join(lines)


def main(
    dataset_dir: str, out: str = "runs/hippocampus", report: str = "docs/results/hippocampus.json", steps: int = 200
) -> None:
    """Run what is not done yet; print a table, and write ablations.json."""
    root = Path(out).absolute()
    keep_settings(root / "ablations", steps=steps, pretraining=PRETRAINING, ablations=ABLATIONS)
    write_lists(dataset_dir, root)
    pretrain_all(root, {"seed0": {}, **ABLATIONS})
    best = chosen_rates(report, PROTOCOL)
    starts = [(None, best["scratch"]), *((name, best["self-pretrained"]) for name in ("seed0", *ABLATIONS))]
    runs = [Run(PROTOCOL, FEW, name, base_lr, seed) for name, base_lr in starts for seed in SEEDS]
    for method in ("training", "evaluating"):
        run_all(root, method, runs, steps)
    rows = rows_of(root, best)
    print(markdown(rows))
    with atomic_write(root / "ablations.json") as path:
        path.write_text(json.dumps(rows, indent=4) + "\n")


if __name__ == "__main__":
    fire.Fire(main)
