"""Peak memory and seconds of reading a film of 4280 x 4280 pixels, as it is stored and reduced to what networks see.

Run from the top of the repository: python -m benchmarks.large_films [--max_side 1463]
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import fire
import numpy as np
import pydicom
import torch
from PIL import Image
from pydicom.uid import RLELossless

from benchmarks.own_process import in_own_process
from monai_mae_ext.bench.memory import peak_mib, reset_peak
from monai_mae_ext.data import read_radiograph
from monai_mae_ext.phantoms import chest_phantom
from tests.data.dicom_files import write_dicom

SIXTEEN_BITS = {"BitsStored": 16, "HighBit": 15}
WINDOW = {"WindowCenter": 2**15, "WindowWidth": 2**16}


def write_films(folder: Path, side: int) -> dict[str, Path]:
    """Write one enlarged phantom, with noise in its lowest bits, in every format."""
    folder.mkdir()
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


def read(name: str, path: Path, warm_up: Path, max_side: int | None) -> str:
    """Read one film after a small one of its kind: a row of the table. Memory is above the imported interpreter."""
    cpu = torch.device("cpu")
    read_radiograph(warm_up)  # reads code into memory that would else count as the film's
    reset_peak(cpu)
    before, started = peak_mib(cpu), time.perf_counter()
    shape = read_radiograph(path, max_side)[0].shape
    seconds = time.perf_counter() - started
    return f"| {name} | {max_side} | {shape[0]} x {shape[1]} | {peak_mib(cpu) - before:.0f} MiB | {seconds:.1f} s |"


def main(max_side: int = 1463, side: int = 4280) -> None:
    """Print the table; each film is read in a process of its own. 1463 is 1280 * 8 / 7, for crops of 1280 px."""
    with tempfile.TemporaryDirectory() as folder:
        films = write_films(Path(folder) / "large", side)
        small = write_films(Path(folder) / "small", 64)
        print("| 16-bit film | max_side | read as | peak memory | time |\n| --- | --- | --- | --- | --- |", flush=True)
        for name, path in films.items():
            for limit in (None, max_side):
                print(in_own_process(read, name, path, small[name], limit), flush=True)


if __name__ == "__main__":
    fire.Fire(main)
