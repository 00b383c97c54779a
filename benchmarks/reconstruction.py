"""Who reconstructs CT best: a masked autoencoder, or AE, VAE and VQ-VAE of as many weights in as much time?

Run from the top of the repository: python -m benchmarks.reconstruction DATASET_DIR --out runs/reconstruction

DATASET_DIR has a ``dataset.json`` of the Decathlon's layout with ``training`` and ``validation`` lists. Roles: the
official validation volumes test, and are read only for the report; the last four training volumes validate. Every run
is the bundle ``ct_superpatch_pretraining`` with overrides, as many epochs as fit into the same seconds (measured, one
thread); one that is finished is not run again. An arm's learning rate is that with the best validation PSNR of
unmasked volumes with the first seed; where that was the lowest or the highest of those tried, more were tried. Jobs run
side by side, one for each core, with one thread each.
"""

from __future__ import annotations

import csv
import json
import os
import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import fire
from monai.transforms import LoadImage, Orientation, ResampleToMatch
from torch import Tensor

from benchmarks.self_pretraining import bundle
from benchmarks.settings import keep_settings
from monai_mae_ext.figures_volume import save_volume_panel
from monai_mae_ext.files import atomic_write

BUNDLE = "bundles/ct_superpatch_pretraining"
SEEDS = (0, 1, 2)
N_VALIDATION = 4
MIN_EPOCHS = 10
SECONDS = 180
SETTINGS: dict[str, Any] = {
    "spacing": [2.0, 2.0, 2.0],
    "batch_size": 1,
    "superpatches_per_volume": 4,
    "warmup_epochs": 2,
}
SCORES = ("psnr_unmasked", "ssim_unmasked", "ms_ssim_unmasked", "psnr_hidden", "ssim_hidden")


class Arm(NamedTuple):
    """A network: overlays and overrides of the bundle, the learning rates that are tried, and its share of time."""

    overlays: tuple[str, ...]
    overrides: dict[str, Any]
    base_lrs: tuple[float, ...]
    times: int = 1


BASE_LRS = (0.064, 0.128, 0.256)
SMALL = {"network_def#num_layers": 2, "network_def#decoder_num_layers": 1}
PLAIN = {"network_def#num_res_units": 0}
VAE = PLAIN | {"network_def#channels": [16, 32, 64, 32], "network_def#latent_size": 352, "loss#penalty_weight": 1e-4}
ARMS = {
    "MAE, all tokens predicted": Arm(("predict_all",), SMALL, (*BASE_LRS, 0.512)),
    "MAE": Arm((), SMALL, BASE_LRS[1:2]),
    "AE": Arm(
        ("baseline_ae",), PLAIN | {"network_def#channels": [16, 48, 96, 170]}, (1.024, 2.048, 4.096, 8.192, 16.384)
    ),
    "VAE": Arm(("baseline_vae",), VAE, (0.016, 0.032, *BASE_LRS[:1])),
    "VAE, thrice the time": Arm(("baseline_vae",), VAE, (0.016, 0.032, *BASE_LRS[:1]), times=3),
    "VQ-VAE": Arm(("baseline_vqvae",), PLAIN | {"network_def#channels": [16, 48, 112]}, (0.016, 0.032, *BASE_LRS)),
}
"""As many weights in each, within a twentieth, and as much time; the VAE once more with enough to get past the mean of
each token. The plain MAE was never asked for visible tokens: it stands beside the comparison, for its hidden voxels."""


def write_roles(dataset_dir: str, out: Path) -> Path:
    """A data list in which the official validation volumes test; returns its folder."""
    root = Path(dataset_dir).absolute()
    official = json.loads((root / "dataset.json").read_text())
    whole = {
        name: [{key: str(root / path) for key, path in entry.items()} for entry in official[name]]
        for name in ("training", "validation")
    }
    lists = {
        "training": whole["training"][:-N_VALIDATION],
        "validation": whole["training"][-N_VALIDATION:],
        "test": whole["validation"],
    }
    with atomic_write(out / "data" / "dataset.json") as path:
        path.write_text(json.dumps(lists, indent=4) + "\n")
    return out / "data"


def folder_of(out: Path, arm: str, base_lr: float, seed: int) -> Path:
    return out / arm.replace(", ", "_").replace(" ", "_") / f"lr{base_lr:g}_seed{seed}"


def train(data: Path, folder: Path, arm: str, **overrides: Any) -> None:
    """Train one network, unless its last epoch is there."""
    overlays = ("train", "quick", *ARMS[arm].overlays)
    settings = {**SETTINGS, **ARMS[arm].overrides, **overrides}
    keys = {"dataset_dir": data, "ckpt_dir": folder / "models", "output_dir": folder / "train"}
    bundle(BUNDLE, "training", overlays, folder / "training.txt", **keys, **settings)


def seconds_an_epoch(data: Path, out: Path, arm: str) -> float:
    """Median of a few epochs, measured once; warm-up and validation do not count."""
    folder = out / "timing" / arm.replace(", ", "_").replace(" ", "_")
    if not (folder / "train" / "history.csv").exists():
        train(data, folder, arm, epochs=6, val_interval=100, base_lr=ARMS[arm].base_lrs[0])
    with open(folder / "train" / "history.csv", newline="") as file:
        return statistics.median(float(row["seconds"]) for row in list(csv.DictReader(file))[2:])


def test(data: Path, folder: Path, arm: str, section: str) -> dict[str, float]:
    """Scores of whole volumes of a section, which are written once."""
    result = folder / section / "evaluation.json"
    if not result.exists():
        overlays = ("train", "quick", *ARMS[arm].overlays, "evaluate")
        keys = {"dataset_dir": data, "ckpt_dir": folder / "models", "output_dir": folder / section}
        settings = {**SETTINGS, **ARMS[arm].overrides, "validation_section": section}
        bundle(BUNDLE, "evaluating", overlays, folder / f"{section}.txt", **keys, **settings)
    return json.loads(result.read_text())


def report(data: Path, out: Path, chosen: dict[str, float], epochs: dict[str, int]) -> list[dict[str, Any]]:
    """A row an arm: mean and seed by seed on the test volumes."""
    rows = []
    for arm, base_lr in chosen.items():
        scores = [test(data, folder_of(out, arm, base_lr, seed), arm, "test") for seed in SEEDS]
        row: dict[str, Any] = {"arm": arm, "base_lr": base_lr, "epochs": epochs[arm]}
        for name in SCORES:
            if name in scores[0]:
                row[name] = {"mean": statistics.mean(score[name] for score in scores)}
                row[name]["seeds"] = [score[name] for score in scores]
        row["block_mean"] = {name: scores[0][f"{name}_block_mean"] for name in SCORES[:3]}
        rows.append(row)
    return rows


def save_comparison(data: Path, out: Path, chosen: dict[str, float]) -> None:
    """Three planes of the first test volume and of what each arm made of it, unmasked; the plain MAE is left out."""
    pictures, known = {}, json.loads(Path(BUNDLE, "configs", "inference.json").read_text())
    for arm in sorted((arm for arm in chosen if ARMS[arm].overlays), key=lambda arm: arm.startswith("MAE")):
        folder = folder_of(out, arm, chosen[arm], SEEDS[0])
        if not (folder / "volumes").exists():
            keys = {"dataset_dir": data, "ckpt_dir": folder / "models", "output_dir": folder / "volumes"}
            settings = {"section": "test", **SETTINGS, **ARMS[arm].overrides}
            settings = {key: value for key, value in settings.items() if key.split("#")[0] in known}
            overlays = ("inference", "quick", *ARMS[arm].overlays)
            bundle(BUNDLE, "inferring", overlays, folder / "volumes.txt", **keys, **settings)
        pictures[arm] = load(sorted((folder / "volumes").rglob("*_unmasked.nii.gz"))[0])
    scan = sorted(item["image"] for item in json.loads((data / "dataset.json").read_text())["test"])[0]
    truth = ResampleToMatch(mode="bilinear")(load(scan), next(iter(pictures.values())))
    scaled = {title: ((volume + 175) / 425).clamp(0, 1) for title, volume in ({"input": truth} | pictures).items()}
    caption = "unmasked input; a test volume of the IBSI validation set, CC BY 3.0; -175 to 250 HU"
    save_volume_panel(out / "comparison.png", scaled, SETTINGS["spacing"], caption)


def load(path: str | Path) -> Tensor:
    """A volume ``(1, *S)`` in RAS orientation."""
    return Orientation("RAS", labels=None)(LoadImage(image_only=True, ensure_channel_first=True)(path))


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table; first the trivial predictor that every arm has to beat."""
    lines = ["| network | PSNR, unmasked | seed by seed | SSIM | MS-SSIM | PSNR, hidden voxels | epochs |"]
    lines += ["|---|---|---|---|---|---|---|"]
    trivial = rows[0]["block_mean"]
    psnr, ssim, ms_ssim = (trivial[name] for name in SCORES[:3])
    lines.append(f"| mean of each token | {psnr:.2f} | | {ssim:.3f} | {ms_ssim:.3f} | | |")
    for row in rows:
        psnr, ssim, ms_ssim = (row[name] for name in SCORES[:3])
        hidden = f"{row['psnr_hidden']['mean']:.2f}" if "psnr_hidden" in row else ""
        seeds = ", ".join(f"{value:.2f}" for value in psnr["seeds"])
        lines.append(f"| {row['arm']} | {psnr['mean']:.2f} | {seeds} | {ssim['mean']:.3f} | {ms_ssim['mean']:.3f} | "
                     f"{hidden} | {row['epochs']} |")  # fmt: skip
    return "\n".join(lines)


def main(dataset_dir: str, out: str = "runs/reconstruction", seconds: int = SECONDS) -> None:
    """Run what is not done yet; print the table and write ``report.json`` and ``comparison.png`` into ``out``."""
    root = Path(out).absolute()
    keep_settings(root, seconds=seconds, settings=SETTINGS, arms=ARMS)
    data = write_roles(dataset_dir, root)
    epochs = {
        arm: max(MIN_EPOCHS, round(ARMS[arm].times * seconds / seconds_an_epoch(data, root, arm))) for arm in ARMS
    }
    print("epochs", epochs, flush=True)

    def run(job: tuple[str, float, int]) -> None:
        folder, (arm, base_lr, seed) = folder_of(root, *job), job
        if not (folder / "validation" / "evaluation.json").exists():
            interval = max(1, epochs[arm] // 5)
            train(data, folder, arm, epochs=epochs[arm], val_interval=interval, base_lr=base_lr, seed=seed)
            score = test(data, folder, arm, "validation")["psnr_unmasked"]
            print(*job, round(score, 2), flush=True)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(run, [(arm, base_lr, SEEDS[0]) for arm in ARMS for base_lr in ARMS[arm].base_lrs]))
        quality = lambda arm, base_lr: test(data, folder_of(root, arm, base_lr, SEEDS[0]), arm, "validation")  # noqa: E731
        chosen = {arm: max(ARMS[arm].base_lrs, key=lambda lr: quality(arm, lr)["psnr_unmasked"]) for arm in ARMS}
        list(pool.map(run, [(arm, base_lr, seed) for arm, base_lr in chosen.items() for seed in SEEDS[1:]]))
    rows = report(data, root, chosen, epochs)
    print(markdown(rows))
    with atomic_write(root / "report.json") as path:
        path.write_text(json.dumps(rows, indent=4) + "\n")
    save_comparison(data, root, chosen)


if __name__ == "__main__":
    fire.Fire(main)
