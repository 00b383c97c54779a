"""Peak memory and seconds of reading a film of 4280 x 4280 pixels, as it is stored and reduced to what networks see.

Run from the top of the repository: python -m benchmarks.large_films [--max_side 1463]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fire
import numpy as np
import pydicom
import torch
from PIL import Image
from pydicom.uid import RLELossless

from monai_mae_ext.bench.memory import peak_mib, reset_peak
from monai_mae_ext.data import read_radiograph
from monai_mae_ext.phantoms import chest_phantom
from tests.data.dicom_files import write_dicom

SIXTEEN_BITS = {"BitsStored": 16, "HighBit": 15}
WINDOW = {"WindowCenter": 2**15, "WindowWidth": 2**16}


def write_films(folder: Path, side: int) -> dict[str, Path]:
    """Write one enlarged phantom, with noise in its lowest bits, in every format."""
    phantom = Image.fromarray(chest_phantom(3, 1024).image).resize((side, side), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(scale=0.002, size=(side, side)).astype(np.float32)
    stored = np.rint(np.clip(np.asarray(phantom) + noise, 0, 1) * 65535).astype("<u2")
    films = {
        "windowed DICOM": write_dicom(folder / "window.dcm", stored, **SIXTEEN_BITS, **WINDOW),
        "DICOM without window": write_dicom(folder / "range.dcm", stored, **SIXTEEN_BITS),
        "windowed RLE DICOM": folder / "rle.dcm",
        "PNG": folder / "film.png",
    }
    dataset = pydicom.dcmread(films["windowed DICOM"])
    dataset.compress(RLELossless)
    dataset.save_as(films["windowed RLE DICOM"])
    Image.fromarray(stored).save(films["PNG"], compress_level=1)
    return films


def read(name: str, path: str, max_side: int | None = None) -> None:
    """Read one film and print its row of the table; memory is beyond that of the interpreter and its imports."""
    cpu = torch.device("cpu")
    reset_peak(cpu)
    before, started = peak_mib(cpu), time.perf_counter()
    shape = read_radiograph(path, max_side)[0].shape
    seconds = time.perf_counter() - started
    print(f"| {name} | {max_side} | {shape[0]} x {shape[1]} | {peak_mib(cpu) - before:.0f} MiB | {seconds:.1f} s |")


def main(max_side: int = 1463, side: int = 4280) -> None:
    """Print the table; each film is read in a process of its own. 1463 is 1280 * 8 / 7, for crops of 1280 px."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.large_films", "read"]
    with tempfile.TemporaryDirectory() as folder:
        films = write_films(Path(folder), side)
        print("| 16-bit film | max_side | read as | peak memory | time |\n| --- | --- | --- | --- | --- |", flush=True)
        for name, path in films.items():
            for arguments in [], [str(max_side)]:
                subprocess.run([*command, name, path, *arguments], check=True)


if __name__ == "__main__":
    fire.Fire({"read": read, "main": main} if sys.argv[1:2] == ["read"] else main)
