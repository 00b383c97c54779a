"""What does a segmenter lose where an MRI sequence is missing, trained with modality dropout and without?

Run from the top of the repository: python -m benchmarks.missing_sequences --out runs/missing_sequences

Brain phantoms of four sequences: some train, others validate (they choose the weights), yet others test, once with all
sequences and once without each. Every run is the bundle ``mri_tumor_segmentation`` from scratch, with the settings of
its quick.json; one that is finished is not run again. Jobs run side by side, one for each core, with one thread each.
"""

from __future__ import annotations

import itertools
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fire
import numpy as np

from benchmarks.segmentation_runs import run_once, scan_dice
from benchmarks.self_pretraining import bundle
from benchmarks.settings import keep_settings
from monai_mae_ext.data import mri_datalist
from monai_mae_ext.files import atomic_write
from monai_mae_ext.phantoms import MODALITIES, write_brain_phantoms

BUNDLE = "bundles/mri_tumor_segmentation"
SEEDS = (0, 1, 2)
ARMS = {"without dropout": 0.0, "with dropout": 0.2}
"""Probability with which each sequence of a crop is hidden in training."""
N_TRAINING, N_VALIDATION, N_TEST = 24, 4, 12
COMPLETE = "all sequences"
CASES = (COMPLETE, *(f"no {name}" for name in MODALITIES))
SETTINGS: dict[str, Any] = {}
"""Overrides of the bundle's quick.json."""


def write_lists(out: Path) -> None:
    """Phantoms, and a data list for each case, in which the missing sequence has a name that nobody asks for."""
    n_volumes = N_TRAINING + N_VALIDATION + N_TEST
    phantoms = write_brain_phantoms(out / "phantoms", n_volumes, seed=11, test_fraction=N_TEST / n_volumes)
    items = {name: mri_datalist(phantoms.absolute(), name, MODALITIES, 0.0) for name in ("training", "test")}
    lists = {name: [{key: item[key] for key in ("image", "label")} for item in items[name]] for name in items}
    roles = {"training": lists["training"][:N_TRAINING], "validation": lists["training"][N_TRAINING:]}
    roles["test"] = lists["test"]
    for case in CASES:
        names = [f"no {name}" if case == f"no {name}" else name for name in MODALITIES]
        modality = {str(number): name for number, name in enumerate(names)}
        with atomic_write(out / "data" / case.replace(" ", "_") / "dataset.json") as path:
            path.write_text(json.dumps({"modality": modality, **roles}, indent=4) + "\n")


def run(out: Path, arm: str, seed: int, epochs: int) -> None:
    """Train one network and test it in every case, unless that is done."""
    folder = folder_of(out, arm, seed)
    data = out / "data" / COMPLETE.replace(" ", "_")
    keys = {"dataset_dir": data, "modality_dropout": ARMS[arm], "seed": seed}
    run_once(BUNDLE, "training", folder, epochs, 1, **keys, **SETTINGS)
    for case in CASES:
        name = case.replace(" ", "_")
        if not (folder / name / "per_image.csv").exists():
            places = {"dataset_dir": out / "data" / name, "ckpt_dir": folder / "models", "output_dir": folder / name}
            bundle(BUNDLE, "evaluating", ("train", "quick", "evaluate"), folder / f"{name}.txt", **places, **SETTINGS)


def folder_of(out: Path, arm: str, seed: int) -> Path:
    return out / arm.replace(" ", "_") / f"seed{seed}"


def report(out: Path) -> list[dict[str, Any]]:
    """A row an arm: mean Dice in each case, and the mean loss for one missing sequence, also seed by seed."""
    rows = []
    for arm in ARMS:
        folders = [[folder_of(out, arm, seed) / case.replace(" ", "_") for case in CASES] for seed in SEEDS]
        dice = np.array([[scan_dice(folder).mean() for folder in cases] for cases in folders])
        losses = (dice[:, :1] - dice[:, 1:]).mean(1)
        row = {"arm": arm, **dict(zip(CASES, dice.mean(0).tolist(), strict=True))}
        rows.append(row | {"loss": losses.mean().item(), "loss_seeds": losses.tolist()})
    return rows


def markdown(rows: list[dict[str, Any]]) -> str:
    lines = [f"| | {' | '.join(CASES)} | mean loss for one missing | seed by seed |", "|" + "---|" * (len(CASES) + 3)]
    for row in rows:
        dice = " | ".join(f"{row[case]:.3f}" for case in CASES)
        seeds = ", ".join(f"{loss:.3f}" for loss in row["loss_seeds"])
        lines.append(f"| {row['arm']} | {dice} | {row['loss']:.3f} | {seeds} |")
    return "\n".join(lines)


def main(out: str = "runs/missing_sequences", epochs: int = 60) -> None:
    """Run what is not done yet; print the table and write ``report.json`` into ``out``."""
    root = Path(out).absolute()
    keep_settings(root, epochs=epochs, seeds=SEEDS, arms=ARMS, settings=SETTINGS)
    write_lists(root)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda job: run(root, *job, epochs), itertools.product(ARMS, SEEDS)))
    rows = report(root)
    print(markdown(rows))
    with atomic_write(root / "report.json") as path:
        path.write_text(json.dumps(rows, indent=4) + "\n")


if __name__ == "__main__":
    fire.Fire(main)
