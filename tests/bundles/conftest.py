"""Running bundles the way users do: as ``python -m monai.bundle``, in a process of its own."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.processes import run_module

BUNDLES = Path(__file__).parents[2] / "bundles"
TINY = Path(__file__).parent / "tiny.json"


def bundle_arguments(bundle: str, verb: str, configs: Sequence[str], **overrides: object) -> list[str]:
    """What follows ``python -m monai.bundle``; ``configs`` are file names in the bundle's ``configs`` or whole paths;
    ``__`` stands for ``#``."""
    folder = BUNDLES / bundle
    files = [str(folder / "configs" / name) for name in configs]
    words = ["run", *verb.split(), "--config_file", str(files), "--bundle_root", str(folder)]
    for key, value in overrides.items():
        words += [f"--{key.replace('__', '#')}", str(value)]
    return words


def run_bundle(bundle: str, verb: str, configs: Sequence[str], **overrides: object) -> subprocess.CompletedProcess:
    return run_module("monai.bundle", bundle_arguments(bundle, verb, configs, **overrides))


def shared_arguments(
    processes: int, bundle: str, configs: Sequence[str], more_configs: Sequence[str] = (), **overrides: object
) -> list[str]:
    """What follows ``torchrun`` for a training that processes on this machine's CPU share."""
    overrides |= {"device": "cpu", "backend": "gloo"}
    words = bundle_arguments(bundle, "training", [*configs, "multi_gpu_train.json", *more_configs], **overrides)
    return ["--standalone", f"--nproc_per_node={processes}", "-m", "monai.bundle", *words]


def train_in_processes(
    processes: int, bundle: str, configs: Sequence[str], more_configs: Sequence[str] = (), **overrides: object
) -> subprocess.CompletedProcess:
    words = shared_arguments(processes, bundle, configs, more_configs, **overrides)
    return run_module("torch.distributed.run", words)


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def few_hippocampi(source: Path, folder: Path) -> Path:
    """A data set of the first ten scans of the hippocampus sample, each fifth of which validates or tests."""
    lists = json.loads((source / "dataset.json").read_text())
    entries = lists["training"][:10]
    roles = {"training": entries[:6], "validation": entries[6:8], "test": entries[8:]}
    folder.mkdir()
    (folder / "dataset.json").write_text(json.dumps({"modality": lists["modality"], **roles}))
    for name in ("imagesTr", "labelsTr"):
        (folder / name).symlink_to(source / name)
    return folder


def folder_with_a_broken_film(folder: Path, films: Path) -> set[str]:
    """Two PNG and a DICOM file below ``ward/`` of a new folder, whose names are returned, beside a ``broken.png``."""
    (folder / "ward").mkdir(parents=True)
    sources = sorted((films / "images").glob("*.png"))[:2] + sorted((films / "images").glob("*.dcm"))[:1]
    for source in sources:
        shutil.copy(source, folder / "ward" / source.name)
    (folder / "broken.png").write_bytes(sources[0].read_bytes()[:200])
    return {f"ward/{source.name}" for source in sources}
