"""How many films a minute does the classifier of ``quick.json`` read, from files of full size to a table?

Run from the top of the repository: python -m benchmarks.film_rate CKPT_DIR

CKPT_DIR is that of a run of ``cxr_disease_classification`` with ``quick.json``. The films are phantoms of 1024 pixels,
as ChestX-ray14's are; a few are drawn, and each is copied many times. The bundle's inference runs as users run it, once
for one film, which is the start, and once for all; without saliency maps, which cost some 40 forward passes a film.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import fire
import torch

from monai_mae_ext.bench.machine import describe_machine, machine_line
from monai_mae_ext.phantoms import write_chest_phantoms

BUNDLE = "bundles/cxr_disease_classification"


def copy_films(phantoms: Sequence[Path], films: int, folder: Path) -> Path:
    """A new folder of ``films`` files, copies of the phantoms in turn."""
    folder.mkdir()
    for number in range(films):
        shutil.copy(phantoms[number % len(phantoms)], folder / f"film{number:06}.png")
    return folder


def seconds_of(films: Path, ckpt_dir: str, out: Path) -> float:
    """Wall-clock seconds of ``run inferring`` over a folder, start and end of the process among them."""
    files = str([f"{BUNDLE}/configs/inference.json", f"{BUNDLE}/configs/quick.json"])
    words = ["run", "inferring", "--config_file", files, "--bundle_root", BUNDLE, "--dataset_dir", str(films)]
    words += ["--ckpt_dir", ckpt_dir, "--output_dir", str(out), "--saliency", "False", "--refuse_unfamiliar", "False"]
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "monai.bundle", *words], check=True, capture_output=True)
    return time.perf_counter() - started


def main(ckpt_dir: str, films: int = 1000, drawn: int = 40, size: int = 1024) -> None:
    """Print the seconds of one film and of all, and films a minute."""
    print(machine_line(describe_machine(torch.device("cpu"))))
    with tempfile.TemporaryDirectory() as room:
        phantoms = sorted((write_chest_phantoms(Path(room) / "phantoms", drawn, size) / "images").iterdir())
        one, many = (copy_films(phantoms, count, Path(room) / name) for name, count in (("one", 1), ("many", films)))
        start = seconds_of(one, ckpt_dir, Path(room) / "out" / "one")
        whole = seconds_of(many, ckpt_dir, Path(room) / "out" / "many")
    print(f"one film {start:.1f} s, {films} films {whole:.1f} s")
    print(f"{60 * films / whole:.0f} films a minute, {60 * (films - 1) / (whole - start):.0f} without the start")


if __name__ == "__main__":
    fire.Fire(main)
