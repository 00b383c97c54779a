"""Pre-trainings, and trainings and tests of a segmentation bundle, each done once, and their scores."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.self_pretraining import bundle
from monai_mae_ext.weights import export_encoder


def pretrain_once(name: str, data: Path, folder: Path, epochs: int, **overrides: Any) -> None:
    """Pre-train on the scans of ``data`` with ``predict_all.json``, unless ``folder`` has its encoder."""
    encoder = folder / "encoder.safetensors"
    if encoder.exists():
        return
    keys = {"dataset_dir": data, "ckpt_dir": folder / "models", "output_dir": folder}
    schedule = {"epochs": epochs, "warmup_epochs": epochs // 10, "val_interval": max(1, epochs // 10)}
    bundle(name, "training", ("train", "quick", "predict_all"), folder / "log.txt", **keys, **schedule | overrides)
    export_encoder(folder / "models", encoder)
    print("pre-trained", folder.name, flush=True)


def run_once(name: str, method: str, folder: Path, steps: int, items: int, **keys: Any) -> None:
    """Train ("training") or test ("evaluating") in ``folder``, unless that is done.

    Args:
        name: the bundle's folder.
        method: of the bundle.
        folder: gets ``models``, ``train`` and ``test``, and what was said.
        steps: of the training, whatever the number of ``items`` an epoch has; a tenth of them warm up, so that a run of
            few long epochs does as well.
        keys: overrides.
    """
    testing = method == "evaluating"
    done = folder / ("test/per_image.csv" if testing else "done")
    if done.exists():
        return
    epochs = max(1, steps // items)
    schedule = {"epochs": epochs, "warmup_epochs": epochs / 10, "val_interval": max(1, epochs // 5)}
    places = {"ckpt_dir": folder / "models", "output_dir": folder / ("test" if testing else "train")}
    configs = ("train", "quick", *(["evaluate"] if testing else []))
    bundle(name, method, configs, folder / f"{method}.txt", **places, **schedule, **keys)
    done.touch()
    print(method, folder.name, "in", folder.parent.name, flush=True)


def validation_dice(folder: Path) -> float:
    """Best mean Dice of a run on the validation scans, the one that chose its weights."""
    with open(folder / "train" / "history.csv", newline="") as file:
        return max(float(row["val_mean_dice"]) for row in csv.DictReader(file) if row["val_mean_dice"])


def scan_dice(folder: Path) -> np.ndarray:
    """Mean Dice over the classes or regions of each scan of the test in ``folder``."""
    table = pd.read_csv(folder / "per_image.csv").sort_values("image")
    return table.filter(regex="^dice ").mean(axis=1).to_numpy()
