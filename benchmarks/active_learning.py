"""Does the score choose images that are worth labelling? Strategies of the label server against random picks.

Run from the top of the repository: python -m benchmarks.active_learning --out runs/active
It needs MONAI Label (docs/how-to-label.md).

Brain phantoms of four sequences: 24 to choose from, 4 that validate, 12 that test. A round trains the segmenter from
scratch with equally many steps on all labels so far, and adds the images that the strategy serves next: those of the
label server, with its own scoring. The first labels are the same for all strategies; other ones with each seed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import fire
import numpy as np
from matplotlib.figure import Figure

from benchmarks.segmentation_runs import pretrain_once, run_once, scan_dice
from benchmarks.settings import keep_settings
from monai_mae_ext.files import atomic_write
from monai_mae_ext.label.bundle import LabelBundle
from monai_mae_ext.label.scoring import PredictiveEntropy, ReconstructionError, Scores
from monai_mae_ext.phantoms import MODALITIES, write_brain_phantoms

MAE, SEGMENTER = "bundles/mri_tumor_pretraining", "bundles/mri_tumor_segmentation"
STRATEGIES: dict[str, Any] = {
    "random": None,
    "entropy": (SEGMENTER, PredictiveEntropy),
    "reconstruction error": (MAE, ReconstructionError, "predict_all"),
}
"""Bundle, scoring method and overlays."""
SEEDS = (0, 1, 2)
N_POOL, N_VALIDATION, N_TEST = 24, 4, 12
FIRST, STEP, ROUNDS = 2, 3, 3
SETTINGS: dict[str, dict[str, Any]] = {MAE: {}, SEGMENTER: {}}
"""Overrides of the bundles' quick.json."""
SCORING = Lock()
"""MONAI looks for modules in a table that another thread's imports would change meanwhile."""


class Pool:
    """The part of MONAI Label's data store that scoring asks: images by their paths, some of them without label."""

    def __init__(self, images: Sequence[str]) -> None:
        self.images = images

    def get_unlabeled_images(self) -> Sequence[str]:
        return self.images

    def get_image_uri(self, image: str) -> str:
        return image


def write_roles(out: Path) -> dict[str, list[dict[str, str]]]:
    """Phantoms, and a data list for the pre-training on the pool; returns the lists."""
    scans = write_brain_phantoms(out / "scans", N_POOL + N_VALIDATION + N_TEST, spacing=3, test_fraction=0)
    listed = json.loads((scans / "dataset.json").read_text())["training"]
    items = [{key: str(scans / item[key]) for key in ("image", "label")} for item in listed]
    cuts = np.cumsum([N_POOL, N_VALIDATION])
    roles = dict(zip(("training", "validation", "test"), (list(part) for part in np.split(items, cuts)), strict=True))
    write_list(out / "data" / "pool", roles)
    return roles


def write_list(folder: Path, roles: dict[str, Any]) -> None:
    sequences = {str(number): name for number, name in enumerate(MODALITIES)}
    with atomic_write(folder / "dataset.json") as path:
        path.write_text(json.dumps({"modality": sequences} | roles, indent=4) + "\n")


def scores_of(strategy: str, folder: Path, models: Path, images: Sequence[str]) -> dict[str, float]:
    """What a strategy's scoring method says of images, with the weights in ``models``."""
    name, method, *overlays = STRATEGIES[strategy]
    with atomic_write(folder / "settings.json") as path:
        path.write_text(json.dumps(SETTINGS[name]))
    bundle = LabelBundle(Path(name), ["quick", *overlays, str(folder / "settings.json")])
    bundle.weights = models / "model.pt"
    scores = Scores(folder, "scores", "pool")
    with SCORING:
        method(bundle, scores)({"device": "cpu"}, Pool(images))  # type: ignore[arg-type]
    return {image: known["score"] for image, known in scores.read().items()}


def train(folder: Path, roles: dict[str, Any], seed: int, steps: int) -> float:
    """Train and test on the labels of ``roles``, unless that is done; returns the mean Dice of the test scans."""
    if not (folder / "data").exists():
        write_list(folder / "data", roles)
    keys = {"dataset_dir": folder / "data", "seed": seed, **SETTINGS[SEGMENTER]}
    for method in ("training", "evaluating"):
        run_once(SEGMENTER, method, folder, steps, len(roles["training"]), **keys)
    return scan_dice(folder / "test").mean().item()


def curve(out: Path, roles: dict[str, Any], strategy: str, seed: int, steps: int) -> list[float]:
    """Mean Dice of the test scans by round. The first round is the same for all strategies."""
    rng = np.random.default_rng(seed)
    pool = [roles["training"][place] for place in rng.permutation(N_POOL)]
    labelled, dice = pool[:FIRST], []
    for number in range(ROUNDS):
        folder = out / (strategy.replace(" ", "_") if number else "first") / f"seed{seed}" / f"labels{len(labelled)}"
        dice.append(train(folder, roles | {"training": labelled}, seed, steps))
        if number == ROUNDS - 1:
            break
        rest = [item for item in pool if item not in labelled]
        if STRATEGIES[strategy]:
            models = out / "pretraining" / "models" if strategy == "reconstruction error" else folder / "models"
            found = scores_of(strategy, folder / strategy.replace(" ", "_"), models, [item["image"] for item in rest])
            rest.sort(key=lambda item: -found[item["image"]])
        labelled = [*labelled, *rest[:STEP]]
    return dice


def save_curves(path: Path, curves: dict[str, list[list[float]]]) -> None:
    """Mean Dice against the number of labels: a thin line a seed, a thick one their mean."""
    figure = Figure(figsize=(5.2, 3.6), dpi=110, layout="constrained")
    axis = figure.subplots()
    labels = FIRST + STEP * np.arange(ROUNDS)
    for color, (strategy, seeds) in zip(("0.4", "tab:red", "tab:blue"), curves.items(), strict=True):
        for seed in seeds:
            axis.plot(labels, seed, color=color, linewidth=0.6, alpha=0.6)
        axis.plot(labels, np.mean(seeds, axis=0), "o-", color=color, linewidth=2, label=strategy)
    axis.set(xlabel="labels", ylabel="mean Dice on the test scans", xticks=labels)
    axis.grid(alpha=0.3)
    axis.legend()
    with atomic_write(path) as temporary:
        figure.savefig(temporary)


def markdown(curves: dict[str, list[list[float]]]) -> str:
    """Mean Dice by number of labels, and in brackets the difference to random picks, seed by seed."""
    labels = [FIRST + STEP * number for number in range(ROUNDS)]
    lines = [f"| next label by | {' | '.join(f'{count} labels' for count in labels)} |", "|---" * (ROUNDS + 1) + "|"]
    baseline = np.array(curves["random"])
    for strategy, seeds in curves.items():
        cells = []
        for number in range(ROUNDS):
            differences = np.array(seeds)[:, number] - baseline[:, number]
            apart = (
                f" ({', '.join(f'{value:+.3f}' for value in differences)})" if number and strategy != "random" else ""
            )
            cells.append(f"{np.mean(seeds, axis=0)[number]:.3f}{apart}")
        lines.append(f"| {strategy} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(out: str = "runs/active", steps: int = 600, pretraining_epochs: int = 30) -> None:
    """Run what is not done yet; print a table, and write report.json and report.png into ``out``."""
    root = Path(out).absolute()
    labels = {"first": FIRST, "step": STEP, "rounds": ROUNDS}
    own = {"steps": steps, "pretraining_epochs": pretraining_epochs, "seeds": SEEDS}
    keep_settings(root, **own, **labels, settings=SETTINGS)
    roles = write_roles(root)
    pretrain_once(MAE, root / "data" / "pool", root / "pretraining", pretraining_epochs, **SETTINGS[MAE])
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        first = lambda seed: curve(root, roles, "random", seed, steps)  # noqa: E731  so that no first round is run twice
        curves = {"random": list(workers.map(first, SEEDS))}
        jobs = [(strategy, seed) for strategy in STRATEGIES if strategy != "random" for seed in SEEDS]
        others = list(workers.map(lambda job: curve(root, roles, *job, steps), jobs))
    for (strategy, _), dice in zip(jobs, others, strict=True):
        curves.setdefault(strategy, []).append(dice)
    print(markdown(curves))
    with atomic_write(root / "report.json") as path:
        path.write_text(json.dumps(curves, indent=4) + "\n")
    save_curves(root / "report.png", curves)


if __name__ == "__main__":
    fire.Fire(main)
