"""Does self pre-training help to segment with few labels? Scratch against a pre-trained encoder on abdominal phantoms.

Run from the top of the repository: python -m benchmarks.few_labels --out runs/few_labels

Pre-training hides a quarter of the tokens and predicts all (``predict_all.json``): with three quarters hidden, the
features of so short a pre-training collapsed.

Every run is one of the two CT bundles with overrides; one that is finished is not run again, so that the command can be
interrupted. Roles: the encoder sees all training phantoms without labels, fine-tuning the labels of 2, 5 or 10, others
with each seed. Other phantoms validate: they choose the weights, and with the first seed and 5 labels the learning rate
of each arm. Yet others test, and are read only for the report. Every fine-tuning takes as many steps.
Jobs run side by side, one for each core, with one thread each.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import fire

from benchmarks.seeded_arms import compare_scans, markdown, save_dots
from benchmarks.segmentation_runs import pretrain_once, run_once, scan_dice, validation_dice
from benchmarks.settings import keep_settings
from monai_mae_ext.data import volume_datalist
from monai_mae_ext.files import atomic_write
from monai_mae_ext.phantoms import write_abdomen_phantoms

MAE, SEGMENTER = "bundles/ct_superpatch_pretraining", "bundles/ct_multiorgan_segmentation"
SEEDS = (0, 1, 2)
ARMS = ("scratch", "self-pretrained")
LABELS = (2, 5, 10)
TUNED_WITH = 5
STEPS_AN_EPOCH = 6
"""At least, but for a remainder."""
N_TRAINING, N_VALIDATION, N_TEST = 40, 4, 8
BASE_LRS = (0.512, 1.024, 2.048, 4.096)
PRETRAINING: dict[str, Any] = {"superpatch": [32, 32, 32]}
FINE_TUNING: dict[str, Any] = {"roi": [32, 32, 32], "batch_size": 1}
"""Overrides of the bundles' quick.json."""


class Run(NamedTuple):
    """One training of the segmenter."""

    labels: int
    arm: str
    base_lr: float
    seed: int

    def folder(self, out: Path) -> Path:
        return out / f"{self.arm}_{self.labels}" / f"lr{self.base_lr:g}_seed{self.seed}"


def write_lists(out: Path) -> None:
    """Phantoms, and a data list for the pre-training, and for each number of labels and seed."""
    n_volumes = N_TRAINING + N_VALIDATION + N_TEST
    phantoms = write_abdomen_phantoms(out / "phantoms", n_volumes, seed=7, test_fraction=N_TEST / n_volumes)
    items = {name: volume_datalist(phantoms.absolute(), name, 0.0) for name in ("training", "test")}
    training, validation = items["training"][:N_TRAINING], items["training"][N_TRAINING:]
    chosen = {"all": training}
    for labels, seed in itertools.product(LABELS, SEEDS):
        chosen[f"{labels}_seed{seed}"] = training[seed * labels : (seed + 1) * labels] * repeats(labels)
    for name, labelled in chosen.items():
        lists = {"training": labelled, "validation": validation, "test": items["test"]}
        with atomic_write(out / "data" / name / "dataset.json") as path:
            path.write_text(json.dumps(lists, indent=4) + "\n")


def repeats(labels: int) -> int:
    """How often each labelled phantom comes in an epoch: short epochs are mostly checkpoints."""
    return max(1, STEPS_AN_EPOCH // labels)


def segment(out: Path, run: Run, method: str, steps: int) -> None:
    """Train ("training") or test ("evaluating") one segmenter, unless that is done."""
    encoder = out / "pretraining" / f"seed{run.seed}" / "encoder.safetensors"
    keys = {"dataset_dir": out / "data" / f"{run.labels}_seed{run.seed}", "seed": run.seed, "base_lr": run.base_lr}
    keys["pretrained"] = None if run.arm == "scratch" else encoder
    steps_an_epoch = run.labels * repeats(run.labels)
    run_once(SEGMENTER, method, run.folder(out), steps, steps_an_epoch, **keys, **FINE_TUNING)


def report(labels: int, chosen: dict[str, list[Run]], out: Path) -> list[dict[str, Any]]:
    """Compare the tuned runs on the test phantoms: a row an arm."""
    scores = {arm: [scan_dice(run.folder(out) / "test") for run in runs] for arm, runs in chosen.items()}
    rows = compare_scans(scores, "scratch")
    for row, runs in zip(rows, chosen.values(), strict=True):
        row |= {"labels": labels, "base_lr": runs[0].base_lr}
        row["validation"] = sum(validation_dice(run.folder(out)) for run in runs) / len(runs)
    return rows


def main(out: str = "runs/few_labels", pretraining_epochs: int = 120, steps: int = 1500) -> None:
    """Run what is not done yet; print a table for each number of labels, write report.json and report.png."""
    root = Path(out).absolute()
    own = {"pretraining_epochs": pretraining_epochs, "steps": steps, "seeds": SEEDS, "labels": LABELS}
    keep_settings(root, **own, pretraining=PRETRAINING, fine_tuning=FINE_TUNING)
    write_lists(root)
    reports = {}

    def pretrain(seed: int) -> None:
        folder = root / "pretraining" / f"seed{seed}"
        pretrain_once(MAE, root / "data" / "all", folder, pretraining_epochs, seed=seed, **PRETRAINING)

    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def run_all(method: str, runs: Iterable[Run]) -> None:
            list(pool.map(lambda run: segment(root, run, method, steps), runs))

        list(pool.map(pretrain, SEEDS))
        tried = {arm: [Run(TUNED_WITH, arm, base_lr, SEEDS[0]) for base_lr in BASE_LRS] for arm in ARMS}
        run_all("training", itertools.chain(*tried.values()))
        best = {arm: max(runs, key=lambda run: validation_dice(run.folder(root))) for arm, runs in tried.items()}
        for labels in LABELS:
            chosen = {arm: [run._replace(labels=labels, seed=seed) for seed in SEEDS] for arm, run in best.items()}
            for method in ("training", "evaluating"):
                run_all(method, itertools.chain(*chosen.values()))
            reports[f"{labels} labelled"] = rows = report(labels, chosen, root)
            print(f"\n{labels} labelled phantoms\n\n{markdown(rows, 'scratch', 'Dice')}", flush=True)
    with atomic_write(root / "report.json") as path:
        path.write_text(json.dumps(reports, indent=4) + "\n")
    save_dots(root / "report.png", reports, "mean Dice on the test phantoms")


if __name__ == "__main__":
    fire.Fire(main)
