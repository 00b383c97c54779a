"""From files to batches: seconds and memory of an epoch with this project's caches and with MONAI's data sets.

Run from the top of the repository: python -m benchmarks.data_loading --out runs/data_loading

Films (PNG of 512 pixels) and volumes (NIfTI of 128 x 128 x 96 voxels) of noise go through the transforms and the loader
of the pre-training bundles with ``quick.json``, whose ``train#dataset`` alone differs from arm to arm. Each arm walks
two epochs in a process of its own, one after the other: the first fills its cache, the second has it. The operating
system keeps files in memory that were read lately, for all arms alike.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import fire
import nibabel as nib
import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.utils import ensure_tuple
from PIL import Image

from benchmarks.own_process import ProcessDied, in_own_process
from monai_mae_ext.bench.machine import describe_machine, machine_line
from monai_mae_ext.bench.memory import peak_mib, reset_peak
from monai_mae_ext.files import atomic_write

CPU = torch.device("cpu")
ARMS: dict[str, dict[str, Any]] = {
    "MONAI Dataset": {"_target_": "monai.data.Dataset"},
    "MONAI PersistentDataset": {"_target_": "monai.data.PersistentDataset", "cache_dir": "@disk"},
    "MONAI CacheDataset": {"_target_": "monai.data.CacheDataset", "num_workers": 2},
    "ours, in memory": {},
    "ours, on disk": {"cache_dir": "@disk"},
}
"""What differs from the bundle's own data set."""


class Kind(NamedTuple):
    """Files of one kind: the bundle that reads them, how many there are, and their size."""

    bundle: str
    count: int
    sides: tuple[int, ...]


KINDS = {
    "films": Kind("bundles/cxr_mae_pretraining", 10_000, (512, 512)),
    "volumes": Kind("bundles/ct_superpatch_pretraining", 500, (128, 128, 96)),
}


def write_files(folder: Path, kind: Kind) -> None:
    """Noise that is smooth, so that it can be packed as images can; files that are there stay."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(kind.count):
        coarse = rng.random([side // 16 for side in kind.sides], np.float32)
        for axis in range(len(kind.sides)):
            coarse = coarse.repeat(16, axis)
        path = folder / f"{number:05}.{'png' if len(kind.sides) == 2 else 'nii'}"
        if not path.exists():
            with atomic_write(path) as temporary:
                named = temporary.with_name(f"{temporary.name}{path.suffix}")
                if len(kind.sides) == 2:
                    Image.fromarray((coarse * 255).astype(np.uint8)).save(named)
                else:
                    nib.save(nib.Nifti1Image((coarse * 400 - 200).astype(np.int16), np.diag([3.0, 3, 3, 1])), named)
                named.replace(temporary)


def loader_of(kind: Kind, files: Path, arm: str, disk: Path) -> Any:
    """The training loader of the kind's bundle, with the data set of an arm."""
    configs = [Path(kind.bundle) / "configs" / f"{name}.json" for name in ("train", "quick")]
    parser = ConfigParser(ConfigParser.load_config_files(configs))
    parser.read_meta(Path(kind.bundle) / "configs" / "metadata.json")
    parser.update({"bundle_root": kind.bundle, "dataset_dir": str(files), "device": "cpu"})
    parser["disk"] = str(disk)
    parser["train#dataset#data"] = parser["train#dataset#data"].replace("'training'", "'all'")  # none is held back
    own = parser["train#dataset"]
    if changes := ARMS[arm]:
        keys = ("data", "transform") if "_target_" in changes else tuple(own)
        parser["train#dataset"] = {key: own[key] for key in keys} | changes
    parser.parse(True)
    return parser.get_parsed_content("train#dataloader")


def walk(kind: Kind, files: Path, arm: str, disk: Path) -> dict[str, Any]:
    """Two epochs: their seconds, that of the start being of the first, items, and peak memory in MiB."""
    torch.set_num_threads(1)
    loader_of(kind, files, "MONAI Dataset", disk).dataset[0]  # reads code into memory that would else count as data
    reset_peak(CPU)
    imported = peak_mib(CPU)
    seconds, started = [], time.perf_counter()
    loader = loader_of(kind, files, arm, disk)
    for _ in range(2):
        batches = sum(1 for _ in loader)
        seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
    return {"seconds": seconds, "batches": batches, "peak_mib": peak_mib(CPU) - imported}


def measure(kind: Kind, files: Path, arm: str, room: Path) -> dict[str, Any]:
    """One arm in a process of its own, with an empty cache."""
    disk = room / "cache"
    shutil.rmtree(disk, ignore_errors=True)
    try:
        return {"arm": arm, **in_own_process(walk, kind, files, arm, disk)}
    except ProcessDied as death:
        return {"arm": arm, "exit_code": death.exit_code}
    finally:
        shutil.rmtree(disk, ignore_errors=True)


def row_of(kind: str, count: int, result: dict[str, Any], baseline: dict[str, Any]) -> str:
    """A line of the table; an arm that died has no numbers."""
    if "seconds" not in result:
        return f"| {count:,} {kind} | {result['arm']} | ended with exit code {result['exit_code']} | | | |"
    first, second = result["seconds"]
    faster = f"{baseline['seconds'][1] / second:.2f}x" if "seconds" in baseline else ""
    return f"| {count:,} {kind} | {result['arm']} | {first:.1f} | {second:.1f} | {faster} | {result['peak_mib']:,.0f} |"


def main(
    out: str = "runs/data_loading", films: int = 10_000, volumes: int = 500, arms: Sequence[str] | str = tuple(ARMS)
) -> None:
    """Print a table, two epochs an arm, and write report.json into ``out``."""
    torch.set_num_threads(1)
    room, report = Path(out).absolute(), {}
    print(machine_line(describe_machine(CPU)))
    print("| files | data set | first epoch, s | second epoch, s | faster than MONAI's Dataset | peak memory, MiB |\n"
          "|---|---|---|---|---|---|", flush=True)  # fmt: skip
    for name, count in (("films", films), ("volumes", volumes)):
        kind = KINDS[name]._replace(count=count)
        files = room / f"{count}_{name}"
        write_files(files, kind)
        results = []
        for arm in ensure_tuple(arms):
            results.append(measure(kind, files, arm, room))
            plain = next((result for result in results if result["arm"] == "MONAI Dataset"), {})
            print(row_of(name, count, results[-1], plain), flush=True)
        report[name] = {"count": count, "arms": results}
    with atomic_write(room / "report.json") as path:
        path.write_text(json.dumps(report, indent=4) + "\n")


if __name__ == "__main__":
    fire.Fire(main)
