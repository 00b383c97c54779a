"""Does self pre-training help on real films? Scratch, random masking and masking by the thorax, seed by seed.

Run from the top of the repository: python -m benchmarks.self_pretraining DATASET_DIR --out runs/self_pretraining

DATASET_DIR is (a sample of) ChestX-ray14 with its official lists. Every run is one of the two bundles with overrides;
one that is finished is not run again, so that the command can be interrupted. Roles: each seed fine-tunes on another
fold, the learning rate of an arm is that with the best mean validation AUC over the seeds, and test films are read only
for the report. Jobs run side by side, one for each core, with one thread each.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import fire
import numpy as np
import pandas as pd

from benchmarks.seeded_arms import compare, markdown, save_dots
from benchmarks.settings import keep_settings
from monai_mae_ext.files import atomic_write
from monai_mae_ext.weights import export_encoder

MAE, CLASSIFIER = "bundles/cxr_mae_pretraining", "bundles/cxr_disease_classification"
SEEDS = (0, 1, 2)
MIN_POSITIVES = 10
PRETRAINING = {
    "inside_ratio": 0.85,
    "outside_ratio": 0.7,
    "normalize_targets": True,
    "epochs": 300,
    "warmup_epochs": 20,
    "val_interval": 50,
}
"""Three quarters of the tokens hidden in both arms."""
REGION = {"random": "none", "context": "classical"}
FINE_TUNING = {"epochs": 30, "val_interval": 3}


class Protocol(NamedTuple):
    """A way to use the encoder: overlays of the classifier, and what is tuned for each arm."""

    overlays: tuple[str, ...]
    base_lrs: tuple[float, ...]
    scratch_layer_decays: tuple[float, ...]
    """The baseline may also train without layer decay, which suits fresh weights."""


PROTOCOLS = {
    "fine-tuned": Protocol((), (0.0013, 0.004, 0.012, 0.036), (0.75, 1.0)),
    "frozen": Protocol(("linear_probe",), (0.03, 0.1, 0.3), (1.0,)),
}
ARMS = ("scratch", "random", "context")


class Run(NamedTuple):
    """One training of the classifier."""

    protocol: str
    arm: str
    base_lr: float
    layer_decay: float
    seed: int

    def folder(self, out: Path) -> Path:
        name = f"{self.arm}_lr{self.base_lr:g}_decay{self.layer_decay:g}_seed{self.seed}"
        return out / self.protocol.replace(", ", "_").replace(" ", "_") / name


def bundle(name: str, method: str, configs: Iterable[str], log: Path, **overrides: object) -> None:
    """Run a bundle in one thread; raises ``CalledProcessError`` if it fails, with its words in ``log``."""
    files = [f"{name}/configs/{config}.json" for config in configs]
    words = [word for key, value in overrides.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "monai.bundle", "run", method, "--config_file", str(files), "--bundle_root", name]
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w") as file:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        subprocess.run(command + words, stdout=file, stderr=subprocess.STDOUT, env=environment, check=True)


def pretrain(dataset_dir: str, out: Path, arm: str, seed: int) -> None:
    """Pre-train one encoder, unless it is there."""
    folder = out / "pretraining" / f"{arm}_seed{seed}"
    encoder = folder / "encoder.safetensors"
    if encoder.exists():
        return
    bundle(
        MAE,
        "training",
        ("train", "quick", "context_masking"),
        folder / "log.txt",
        dataset_dir=dataset_dir,
        ckpt_dir=folder / "models",
        output_dir=folder,
        seed=seed,
        thorax_method=REGION[arm],
        **PRETRAINING,
    )
    export_encoder(folder / "models", encoder)
    print("pre-trained", arm, seed, flush=True)


def classify(dataset_dir: str, out: Path, run: Run, method: str) -> None:
    """Train ("training") or test ("evaluating") one classifier, unless that is done."""
    protocol, folder = PROTOCOLS[run.protocol], run.folder(out)
    done = folder / ("models/calibration.json" if method == "training" else "test/per_image.csv")
    if done.exists():
        return
    encoder = out / "pretraining" / f"{run.arm}_seed{run.seed}" / "encoder.safetensors"
    settings = FINE_TUNING | {"base_lr": run.base_lr, "layer_decay": run.layer_decay}
    bundle(
        CLASSIFIER,
        method,
        ("train", "quick", *protocol.overlays, *(["evaluate"] if method == "evaluating" else [])),
        folder / f"{method}.txt",
        dataset_dir=dataset_dir,
        ckpt_dir=folder / "models",
        output_dir=folder / ("test" if method == "evaluating" else "train"),
        seed=run.seed,
        fold=run.seed,
        pretrained=None if run.arm == "scratch" else encoder,
        **settings,
    )
    print(method, *run, flush=True)


def candidates(protocol: str, arm: str) -> list[tuple[float, float]]:
    """What is tried for an arm: pairs of learning rate and layer decay."""
    tuned = PROTOCOLS[protocol]
    first, *_ = tuned.scratch_layer_decays
    return list(itertools.product(tuned.base_lrs, tuned.scratch_layer_decays if arm == "scratch" else (first,)))


def validation_auc(run: Run, out: Path) -> float:
    """Best mean AUC of a run on its validation films, the one that chose its epoch."""
    with open(run.folder(out) / "train" / "history.csv", newline="") as file:
        return max(float(row["val_mean_auc"]) for row in csv.DictReader(file) if row["val_mean_auc"])


def tuned_runs(protocol: str, arm: str, out: Path) -> list[Run]:
    """The runs, a seed each, of the candidate that validates best on average."""
    choices = [[Run(protocol, arm, *candidate, seed) for seed in SEEDS] for candidate in candidates(protocol, arm)]
    return max(choices, key=lambda runs: sum(validation_auc(run, out) for run in runs))


def test_scores(runs: list[Run], out: Path) -> tuple[list[np.ndarray], np.ndarray, list[str]]:
    """Probabilities ``(films, classes)`` of each run, the labels, and the patients; classes with enough positives."""
    tables = [pd.read_csv(run.folder(out) / "test" / "per_image.csv", dtype={"patient": str}) for run in runs]
    labels = tables[0].filter(regex="^label ")
    frequent = [name.removeprefix("label ") for name in labels if labels[name].sum() >= MIN_POSITIVES]
    scores = [table[[f"probability {name}" for name in frequent]].to_numpy() for table in tables]
    return scores, labels[[f"label {name}" for name in frequent]].to_numpy(), list(tables[0]["patient"])


def report(protocol: str, out: Path) -> list[dict[str, Any]]:
    """Compare the tuned runs of a protocol on the test films: a row an arm."""
    chosen = {arm: tuned_runs(protocol, arm, out) for arm in ARMS}
    tested = {arm: test_scores(runs, out) for arm, runs in chosen.items()}
    _, labels, patients = tested["scratch"]
    rows = compare({arm: scores for arm, (scores, *_) in tested.items()}, labels, patients, "scratch")
    for row, runs in zip(rows, chosen.values(), strict=True):
        row |= {"films": len(labels), "classes": labels.shape[1], "base_lr": runs[0].base_lr}
        row |= {"layer_decay": runs[0].layer_decay}
        row["validation"] = sum(validation_auc(run, out) for run in runs) / len(runs)
    return rows


def main(dataset_dir: str, out: str = "runs/self_pretraining", protocols: tuple[str, ...] = tuple(PROTOCOLS)) -> None:
    """Run what is not done yet; print a table a protocol, and write ``report.json`` and ``report.png`` into ``out``."""
    root = Path(out).absolute()
    keep_settings(root, seeds=SEEDS, pretraining=PRETRAINING, fine_tuning=FINE_TUNING)
    reports = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda job: pretrain(dataset_dir, root, *job), itertools.product(REGION, SEEDS)))
        for protocol in protocols:
            runs = [
                Run(protocol, arm, *candidate, seed)
                for arm, seed in itertools.product(ARMS, SEEDS)
                for candidate in candidates(protocol, arm)
            ]
            list(pool.map(lambda run: classify(dataset_dir, root, run, "training"), runs))
            chosen = [run for arm in ARMS for run in tuned_runs(protocol, arm, root)]
            list(pool.map(lambda run: classify(dataset_dir, root, run, "evaluating"), chosen))
            reports[protocol] = report(protocol, root)
            print(f"\n{protocol}\n\n{markdown(reports[protocol], 'scratch')}", flush=True)
    with atomic_write(root / "report.json") as path:
        path.write_text(json.dumps(reports, indent=4) + "\n")
    save_dots(root / "report.png", reports, "mean AUC on the test films", chance=0.5)


if __name__ == "__main__":
    fire.Fire(main)
