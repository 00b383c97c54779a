"""What do the levers of speed cost? Decoders that do less, at equal epochs and in equal time, on real MRI.

Run from the top of the repository: python -m benchmarks.levers DATASET_DIR --out runs/hippocampus

Behind benchmarks.hippocampus, in the same folder, with its scans, encoder, settings and learning rate. The first arm,
the benchmark's own pre-training, predicts every token from a decoder that attends to all; each other arm leaves work
out. How long an epoch takes is measured first, in turns and alone. An arm is trained for as many epochs as the first,
and again for as many as take its time. Quality: PSNR of the hidden tokens of the validation scans, and the test Dice of
the frozen encoder under the head that never sees the image, with few labels.
"""

from __future__ import annotations

import json
import statistics
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import fire
import numpy as np
import torch

from benchmarks.hippocampus import FEW, PRETRAINING, SEEDS, Run, chosen_rates, pretrain_all, run_all, write_lists
from benchmarks.hippocampus_ablations import PROTOCOL
from benchmarks.segmentation_runs import scan_dice
from benchmarks.settings import keep_settings
from monai_mae_ext.bench.machine import describe_machine, machine_line
from monai_mae_ext.files import atomic_write
from monai_mae_ext.handlers.history import read_history


def hidden_only(decode_ratio: float = 1.0, **network: Any) -> dict[str, Any]:
    """Overrides of predict_all.json: only hidden tokens are predicted, or a share of them."""
    masking: dict[str, Any] = {"_target_": "monai_mae_ext.transforms.RandomMasking", "patch_size": "@patch_size"}
    masking |= {"mask_ratio": "@mask_ratio", "decode_ratio": decode_ratio}
    own = {f"network_def#{key}": value for key, value in network.items()}
    return {"masking": masking, "network_def#decoder_recall": False} | own


BASELINE = "seed0"
LEVERS: dict[str, dict[str, Any]] = {
    BASELINE: {},
    "self_hidden": hidden_only(),
    "cross_hidden": hidden_only(decoder="cross"),
    "cross_third": hidden_only(0.33, decoder="cross"),
}
"""Overrides of the benchmark's pre-training, by the name of the encoder's folder."""
TITLES = {
    BASELINE: "self decoder, all tokens",
    "self_hidden": "self decoder, hidden tokens",
    "cross_hidden": "cross decoder, hidden tokens",
    "cross_third": "cross decoder, a third of the hidden",
}
ROUNDS, TIMED_EPOCHS = 3, 4


def epoch_seconds(root: Path) -> dict[str, float]:
    """Median seconds of an epoch of each lever, from short trainings in turns; the first epoch of each, which warms
    up, and the last, which validates, are left out.
    """
    seconds: dict[str, list[float]] = {name: [] for name in LEVERS}
    timed = {"epochs": TIMED_EPOCHS, "val_interval": TIMED_EPOCHS}
    for turn in range(ROUNDS):
        for name, overrides in LEVERS.items():
            run = f"timing/{name}_{turn}"
            pretrain_all(root, {run: overrides | timed})
            rows = read_history(root / "pretraining" / run / "history.csv")
            seconds[name] += [row["seconds"] for row in rows[1:-1]]
    return {name: statistics.median(values) for name, values in seconds.items()}


def quality(out: Path, name: str, base_lr: float) -> dict[str, Any]:
    """PSNR of the last validation, and the mean test Dice with each fine-tuning seed."""
    history = read_history(out / "pretraining" / name / "history.csv")
    runs = [Run(PROTOCOL, FEW, name, base_lr, seed) for seed in SEEDS]
    return {
        "epochs": len(history),
        "psnr": [row["val_psnr_hidden"] for row in history if "val_psnr_hidden" in row][-1],
        "dice": [scan_dice(run.folder(out) / "test").mean().item() for run in runs],
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    lines = ["| pre-training | epoch | after | epochs | PSNR, dB | mean Dice | seed by seed |", "|---" * 7 + "|"]
    for row in rows:
        for after in ("equal epochs", "equal time"):
            if after in row:
                scores = row[after]
                seeds = ", ".join(f"{value:.3f}" for value in scores["dice"])
                lines.append(
                    f"| {row['lever']} | {row['speedup']:.2f}x | {after} | {scores['epochs']} | {scores['psnr']:.2f} | "
                    f"{np.mean(scores['dice']):.3f} | {seeds} |"
                )
    return "\n".join(lines)


def main(
    dataset_dir: str, out: str = "runs/hippocampus", report: str = "docs/results/hippocampus.json", steps: int = 200
) -> None:
    """Run what is not done yet; print a table, and write levers.json."""
    root, epochs = Path(out).absolute(), PRETRAINING["epochs"]
    base_lr = chosen_rates(report, PROTOCOL)["self-pretrained"]
    own = {"steps": steps, "seeds": SEEDS, "base_lr": base_lr}
    keep_settings(root / "levers", **own, pretraining=PRETRAINING, levers=LEVERS)
    write_lists(dataset_dir, root)
    torch.set_num_threads(1)
    print(machine_line(describe_machine(torch.device("cpu"))))
    with redirect_stdout(sys.stderr):  # of all this the table alone is the result
        seconds = epoch_seconds(root)
        speedups = {name: seconds[BASELINE] / seconds[name] for name in LEVERS}
        longer = {f"{name}_long": name for name in LEVERS if name != BASELINE}
        extra = {long: {"epochs": max(1, round(epochs * speedups[name]))} for long, name in longer.items()}
        pretrain_all(root, LEVERS | {long: LEVERS[name] | extra[long] for long, name in longer.items()})
        runs = [Run(PROTOCOL, FEW, name, base_lr, seed) for name in (*LEVERS, *longer) for seed in SEEDS]
        for method in ("training", "evaluating"):
            run_all(root, method, runs, steps)
    rows = []
    for name in LEVERS:
        row = {"lever": TITLES[name], "speedup": speedups[name], "equal epochs": quality(root, name, base_lr)}
        rows.append(row | ({} if name == BASELINE else {"equal time": quality(root, f"{name}_long", base_lr)}))
    print(markdown(rows))
    with atomic_write(root / "levers.json") as path:
        path.write_text(json.dumps(rows, indent=4) + "\n")


if __name__ == "__main__":
    fire.Fire(main)
