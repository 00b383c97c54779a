"""Does self pre-training help to write reports? Scratch and a pre-trained encoder, few and all reports, on phantoms.

Run from the top of the repository: python -m benchmarks.report_generation --out runs/report_generation

Every run is one of the two bundles with overrides; one that is finished is not run again, so that the command can be
interrupted. Roles: the encoder sees films without reports, most of those that train and validate here, none that
tests; fine-tuning has the reports of a tenth of the training patients, or of all. The validation's BLEU-4 chooses the
weights, and with all reports and the first seed the encoder's learning rate of each arm. Test films are read only for
the report. Every fine-tuning takes as many steps. Jobs run side by side, one for each core, with one thread each.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import fire
import numpy as np
import pandas as pd

from benchmarks.seeded_arms import RESAMPLES, paired_rows, save_dots
from benchmarks.self_pretraining import bundle
from benchmarks.settings import keep_settings
from monai_mae_ext.data import report_datalist
from monai_mae_ext.files import atomic_write
from monai_mae_ext.handlers.report_evaluation import mentions_of
from monai_mae_ext.metrics.classification import bootstrap
from monai_mae_ext.metrics.report import f1
from monai_mae_ext.phantoms import write_chest_phantoms
from monai_mae_ext.weights import export_encoder

MAE, GENERATOR = "bundles/cxr_mae_pretraining", "bundles/cxr_report_generation"
SEEDS = (0, 1, 2)
ARMS = ("scratch", "self-pretrained")
FRACTIONS = (0.1, 1.0)
ENCODER_LRS = (0.00025, 0.0005, 0.001)
N_FILMS, SIZE = 3000, 160
ENCODER: dict[str, Any] = {
    "network_def#hidden_size": 128,
    "network_def#mlp_dim": 512,
    "network_def#num_layers": 4,
    "network_def#num_heads": 4,
}
PRETRAINING: dict[str, Any] = ENCODER | {"normalize_targets": True}
FINE_TUNING = ENCODER
"""Overrides of the bundles' quick.json: both have the sizes of the generator's."""
VALIDATIONS = 10


class Run(NamedTuple):
    """One training of the generator."""

    fraction: float
    arm: str
    encoder_lr: float
    seed: int

    def folder(self, out: Path) -> Path:
        return out / f"{self.arm}_{self.fraction:.0%}" / f"lr{self.encoder_lr:g}_seed{self.seed}"


def pretrain(films: Path, out: Path, seed: int, epochs: int) -> None:
    """Pre-train one encoder, unless it is there."""
    folder = out / "pretraining" / f"seed{seed}"
    encoder = folder / "encoder.safetensors"
    if encoder.exists():
        return
    schedule = {"epochs": epochs, "warmup_epochs": epochs / 10, "val_interval": max(1, epochs // 4)}
    keys = {"dataset_dir": films, "ckpt_dir": folder / "models", "output_dir": folder, "seed": seed}
    bundle(MAE, "training", ("train", "quick"), folder / "log.txt", **keys, **schedule, **PRETRAINING)
    export_encoder(folder / "models", encoder)
    print("pre-trained", seed, flush=True)


def generate(films: Path, out: Path, run: Run, method: str, epochs: int) -> None:
    """Train ("training") or test ("evaluating") one generator, unless that is done."""
    folder, testing = run.folder(out), method == "evaluating"
    done = folder / ("test/per_image.csv" if testing else "models/calibration.json")
    if done.exists():
        return
    reports = {share: len(report_datalist(films, "training", report_fraction=share)) for share in (run.fraction, 1.0)}
    own_epochs = round(epochs * reports[1.0] / reports[run.fraction])
    schedule = {
        "warmup_epochs": own_epochs / 10,
        "val_interval": max(1, own_epochs // VALIDATIONS),
    }
    encoder = out / "pretraining" / f"seed{run.seed}" / "encoder.safetensors"
    bundle(
        GENERATOR,
        method,
        ("train", "quick", *(["evaluate"] if testing else [])),
        folder / f"{method}.txt",
        dataset_dir=films,
        ckpt_dir=folder / "models",
        output_dir=folder / ("test" if testing else "train"),
        seed=run.seed,
        report_fraction=run.fraction,
        encoder_lr=run.encoder_lr,
        pretrained=None if run.arm == "scratch" else encoder,
        epochs=own_epochs,
        patience=own_epochs,
        **schedule,
        **FINE_TUNING,
    )
    print(method, *run, flush=True)


def validation_bleu(run: Run, out: Path) -> float:
    """Best BLEU-4 of a run on its validation films, the one that chose its epoch."""
    with open(run.folder(out) / "train" / "history.csv", newline="") as file:
        return max(float(row["val_bleu_4"]) for row in csv.DictReader(file) if row["val_bleu_4"])


def mention_counts(run: Run, out: Path) -> np.ndarray:
    """Hits, findings mentioned and findings present of each test film: ``(3, N)``."""
    table = pd.read_csv(run.folder(out) / "test" / "per_image.csv", keep_default_na=False)
    said, truly = mentions_of(table["generated"]), mentions_of(table["reference"])
    return np.stack([said & truly, said, truly]).sum(-1)


def report(out: Path, chosen: dict[str, list[Run]]) -> list[dict[str, Any]]:
    """Finding F1 of the tuned runs on the test films, a row an arm, with the scores of their words and controls."""
    counts = np.stack([[mention_counts(run, out) for run in runs] for runs in chosen.values()])  # (arms, seeds, 3, N)
    first = next(iter(chosen.values()))[0]
    patients = pd.read_csv(first.folder(out) / "test" / "per_image.csv", dtype={"patient": str})["patient"]

    def scores(weights: np.ndarray) -> np.ndarray:
        return f1(np.moveaxis(counts @ weights, 2, 0))

    films = counts.shape[-1]
    draws = bootstrap(scores, films, list(patients), RESAMPLES)
    rows = paired_rows(list(chosen), scores(np.ones(films)), draws, "scratch")
    for row, runs in zip(rows, chosen.values(), strict=True):
        tested = [json.loads((run.folder(out) / "test" / "evaluation.json").read_text()) for run in runs]
        row |= {"encoder_lr": runs[0].encoder_lr, "films": films}
        row["bleu_4"] = np.mean([test["bleu_4"] for test in tested]).item()
        for control in ("shuffled", "constant"):
            for score in ("bleu_4", "finding_f1"):
                row[f"{control}_{score}"] = np.mean([test[control][score] for test in tested]).item()
    return rows


def markdown(tables: dict[str, list[dict[str, Any]]]) -> str:
    """All tables as one; the last cell has finding F1 and BLEU-4 of the shuffled control."""
    heads = ("reports", "arm", "finding F1", "seed by seed", "minus scratch (95 %)", "BLEU-4", "constant", "shuffled")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for title, rows in tables.items():
        for row in rows:
            seeds = ", ".join(f"{value:.3f}" for value in row["seeds"])
            difference = ""
            if "difference" in row:
                difference = f"{row['difference']:+.3f} ({row['difference_low']:+.3f} to {row['difference_high']:+.3f})"
            lines.append(
                f"| {title} | {row['arm']} | {row['mean']:.3f} | {seeds} | {difference} | {row['bleu_4']:.3f} | "
                f"{row['constant_bleu_4']:.3f} | {row['shuffled_finding_f1']:.3f}, {row['shuffled_bleu_4']:.3f} |"
            )
    return "\n".join(lines)


def main(out: str = "runs/report_generation", pretraining_epochs: int = 40, epochs: int = 12) -> None:
    """Run what is not done yet; print a table, and write report.json and report.png into ``out``."""
    root = Path(out).absolute()
    own = {"pretraining_epochs": pretraining_epochs, "epochs": epochs, "seeds": SEEDS, "fractions": FRACTIONS}
    keep_settings(root, **own, n_films=N_FILMS, size=SIZE, pretraining=PRETRAINING, fine_tuning=FINE_TUNING)
    films = write_chest_phantoms(root / "films", N_FILMS, SIZE)
    tables = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def run_all(method: str, runs: Iterable[Run]) -> None:
            list(pool.map(lambda run: generate(films, root, run, method, epochs), runs))

        list(pool.map(lambda seed: pretrain(films, root, seed, pretraining_epochs), SEEDS))
        tried = {arm: [Run(1.0, arm, rate, SEEDS[0]) for rate in ENCODER_LRS] for arm in ARMS}
        run_all("training", itertools.chain(*tried.values()))
        best = {arm: max(runs, key=lambda run: validation_bleu(run, root)) for arm, runs in tried.items()}
        for fraction in FRACTIONS:
            chosen = {arm: [run._replace(fraction=fraction, seed=seed) for seed in SEEDS] for arm, run in best.items()}
            for method in ("training", "evaluating"):
                run_all(method, itertools.chain(*chosen.values()))
            tables[f"{fraction:.0%}"] = report(root, chosen)
    print(markdown(tables))
    with atomic_write(root / "report.json") as path:
        path.write_text(json.dumps(tables, indent=4) + "\n")
    save_dots(root / "report.png", {f"{title} of the reports": rows for title, rows in tables.items()}, "finding F1")


if __name__ == "__main__":
    fire.Fire(main)
