"""Does self pre-training help on real MRI? Hippocampus, scratch against an encoder pre-trained on the training images.

Run from the top of the repository: python -m benchmarks.hippocampus DATASET_DIR --out runs/hippocampus

DATASET_DIR is the Decathlon's Task04. Roles, by a shuffle of the scans: 70 train, 20 validate (they choose the weights,
and for each protocol and arm the learning rate, with few labels and the first encoder), 40 test, and are read only for
the report. The encoder sees all training images without labels; fine-tuning has few labels, other scans with each seed,
or all. Protocols: a frozen encoder under a head that never sees the image, the light decoder, and UNETR's. Every
fine-tuning takes as many steps. An arm's score with one fine-tuning seed is the mean over the pre-trainings. Finished
runs are not run again. Jobs run side by side, one for each core, with one thread each.
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
import numpy as np

from benchmarks.seeded_arms import compare_scans, markdown, save_dots
from benchmarks.segmentation_runs import pretrain_once, run_once, scan_dice, validation_dice
from benchmarks.settings import keep_settings
from monai_mae_ext.data import mri_datalist
from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write

MAE, SEGMENTER = "bundles/mri_tumor_pretraining", "bundles/mri_tumor_segmentation"
SEEDS = (0, 1, 2)
PRETRAININGS: dict[str, dict[str, Any]] = {"seed0": {"seed": 0}, "seed1": {"seed": 1}}
ARMS = ("scratch", "self-pretrained")
FEW = 5
N_VALIDATION, N_TEST = 20, 40
ONE_SEQUENCE: dict[str, Any] = {"modalities": ["MRI"], "modality_dropout": 0.0, "spacing": [1.0, 1.0, 1.0]}
PRETRAINING: dict[str, Any] = ONE_SEQUENCE | {
    "superpatch": [40, 56, 40],
    "superpatches_per_volume": 1,
    "batch_size": 8,
    "mask_ratio": 0.75,
    "normalize_targets": False,
    "base_lr": 0.032,
    "epochs": 60,
}
FINE_TUNING: dict[str, Any] = ONE_SEQUENCE | {
    "regions": {"anterior": [1], "posterior": [2]},
    "roi": [40, 56, 40],
    "crops_per_volume": 1,
    "batch_size": 2,
}
"""Overrides of the bundles' quick.json."""


class Protocol(NamedTuple):
    """How the encoder is used: overrides, and the learning rates that are tried."""

    overrides: dict[str, Any]
    base_lrs: tuple[float, ...]


PROTOCOLS = {
    "frozen encoder, head": Protocol(
        {"freeze_encoder": True, "drop_path": 0.0, "network_def#decoder": "head"}, (0.512, 1.024, 2.048, 4.096)
    ),
    "light decoder": Protocol({"network_def#decoder": "light", "network_def#features": 4}, (2.048, 4.096, 8.192)),
    "UNETR": Protocol({"network_def#decoder": "unetr", "network_def#features": 4}, (2.048, 4.096, 8.192)),
}


class Run(NamedTuple):
    """One training of the segmenter; ``pretraining`` names the encoder, or is None from scratch."""

    protocol: str
    labels: int
    pretraining: str | None
    base_lr: float
    seed: int

    def folder(self, out: Path) -> Path:
        name = f"{self.protocol}, {self.labels} labels".replace(", ", "_").replace(" ", "_")
        return out / name / f"{self.pretraining or 'scratch'}_lr{self.base_lr:g}_seed{self.seed}"


def write_lists(dataset_dir: str, out: Path) -> int:
    """A data list for the pre-training, and one for few labels with each seed; returns how many scans train."""
    scans = mri_datalist(Path(dataset_dir).absolute(), "all", ["MRI"])
    items = [{key: scan[key] for key in ("image", "label")} for scan in scans]
    order = [items[place] for place in np.random.default_rng(0).permutation(len(items))]
    test, validation, training = np.split(np.array(order), [N_TEST, N_TEST + N_VALIDATION])
    chosen = {"all": training} | {f"few_seed{seed}": training[seed * FEW : (seed + 1) * FEW] for seed in SEEDS}
    for name, labelled in chosen.items():
        lists = {"training": list(labelled), "validation": list(validation), "test": list(test)}
        with atomic_write(out / "data" / name / "dataset.json") as path:
            path.write_text(json.dumps({"modality": {"0": "MRI"}} | lists, indent=4) + "\n")
    return len(training)


def segment(out: Path, run: Run, method: str, steps: int) -> None:
    """Train ("training") or test ("evaluating") one segmenter, unless that is done."""
    keys = {
        "dataset_dir": out / "data" / (f"few_seed{run.seed}" if run.labels == FEW else "all"),
        "seed": run.seed,
        "pretrained": run.pretraining and out / "pretraining" / run.pretraining / "encoder.safetensors",
        "base_lr": run.base_lr,
    }
    steps_an_epoch = max(1, run.labels // FINE_TUNING["batch_size"])
    overrides = FINE_TUNING | PROTOCOLS[run.protocol].overrides
    run_once(SEGMENTER, method, run.folder(out), steps, steps_an_epoch, **keys, **overrides)


def runs_of(arm: str, protocol: str, labels: int, base_lr: float, seed: int) -> list[Run]:
    """The runs whose mean is an arm's score with one seed."""
    starts = (None,) if arm == "scratch" else tuple(PRETRAININGS)
    return [Run(protocol, labels, start, base_lr, seed) for start in starts]


def report(out: Path, protocol: str, labels: int, base_lrs: dict[str, float]) -> list[dict[str, Any]]:
    """Compare the tuned runs on the test scans: a row an arm."""
    scores: dict[str, list[np.ndarray]] = {}
    validation = {}
    for arm, base_lr in base_lrs.items():
        runs = [runs_of(arm, protocol, labels, base_lr, seed) for seed in SEEDS]
        scores[arm] = [np.mean([scan_dice(run.folder(out) / "test") for run in seed], axis=0) for seed in runs]
        validation[arm] = np.mean([validation_dice(run.folder(out)) for seed in runs for run in seed]).item()
    rows = compare_scans(scores, "scratch")
    for row in rows:
        row |= {"labels": labels, "base_lr": base_lrs[row["arm"]], "validation": validation[row["arm"]]}
    return rows


def run_all(out: Path, method: str, runs: Iterable[Run], steps: int) -> None:
    """Train or test, side by side."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda run: segment(out, run, method, steps), runs))


def tune(out: Path, protocol: str, steps: int) -> dict[str, float]:
    """Each arm's learning rate: of those tried, the best on the validation scans, with few labels, over all seeds."""
    groups = {
        (arm, base_lr): [runs_of(arm, protocol, FEW, base_lr, seed)[0] for seed in SEEDS]
        for arm, base_lr in itertools.product(ARMS, PROTOCOLS[protocol].base_lrs)
    }
    run_all(out, "training", itertools.chain(*groups.values()), steps)
    dice = {key: np.mean([validation_dice(run.folder(out)) for run in runs]) for key, runs in groups.items()}
    return {arm: max(PROTOCOLS[protocol].base_lrs, key=lambda base_lr: dice[arm, base_lr]) for arm in ARMS}


def chosen_rates(report: str, protocol: str) -> dict[str, float]:
    """The learning rate that this benchmark chose for each arm, from its ``report.json``.

    Raises:
        UserError: if the report does not hold the protocol.
    """
    title, path = f"{protocol}, {FEW} labels", Path(report)
    rows = json.loads(path.read_text()).get(title) if path.is_file() else None
    if rows is None:
        raise UserError(
            f"{path} has no table '{title}': run benchmarks.hippocampus, or name its report.json by --report"
        )
    return {row["arm"]: row["base_lr"] for row in rows}


def pretrain_all(out: Path, pretrainings: dict[str, dict[str, Any]]) -> None:
    """Train the encoders that are not there, side by side; each differs from ``PRETRAINING`` as it says."""

    def pretrain(name: str) -> None:
        settings = PRETRAINING | pretrainings[name]
        pretrain_once(MAE, out / "data" / "all", out / "pretraining" / name, settings.pop("epochs"), **settings)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(pretrain, pretrainings))


def compare_protocol(out: Path, protocol: str, n_training: int, steps: int) -> dict[str, list[dict[str, Any]]]:
    """Tune, train and test all runs of a protocol; returns a table for few labels, and one for all."""

    best = tune(out, protocol, steps)
    reports = {}
    for labels in (FEW, n_training):
        groups = itertools.product(ARMS, SEEDS)
        runs = [run for arm, seed in groups for run in runs_of(arm, protocol, labels, best[arm], seed)]
        for method in ("training", "evaluating"):
            run_all(out, method, runs, steps)
        title = f"{protocol}, {labels} labels"
        reports[title] = rows = report(out, protocol, labels, best)
        print(f"\n{title}\n\n{markdown(rows, 'scratch', 'Dice')}", flush=True)
    return reports


def main(
    dataset_dir: str, out: str = "runs/hippocampus", steps: int = 200, protocols: tuple[str, ...] = tuple(PROTOCOLS)
) -> None:
    """Run what is not done yet; print a table for each protocol and number of labels, write report.json, report.png."""
    root = Path(out).absolute()
    own = {"steps": steps, "seeds": SEEDS, "pretrainings": PRETRAININGS, "few": FEW}
    keep_settings(root, **own, pretraining=PRETRAINING, fine_tuning=FINE_TUNING, protocols=PROTOCOLS)
    n_training = write_lists(dataset_dir, root)
    pretrain_all(root, PRETRAININGS)
    reports: dict[str, list[dict[str, Any]]] = {}
    for protocol in protocols:
        reports |= compare_protocol(root, protocol, n_training, steps)
    with atomic_write(root / "report.json") as path:
        path.write_text(json.dumps(reports, indent=4) + "\n")
    save_dots(root / "report.png", reports, "mean Dice on the test scans")


if __name__ == "__main__":
    fire.Fire(main)
