"""Running bundles the way users do: through ``python -m monai.bundle`` in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

BUNDLES = Path(__file__).parents[2] / "bundles"
TINY = Path(__file__).parent / "tiny.json"


def bundle_command(bundle: str, verb: str, configs: Sequence[str], **overrides: object) -> list[str]:
    """The command line; ``configs`` are file names in the bundle's ``configs`` or whole paths; ``__`` stands for
    ``#``."""
    folder = BUNDLES / bundle
    files = [str(folder / "configs" / name) for name in configs]
    words = ["-m", "monai.bundle", "run", *verb.split(), "--config_file", str(files), "--bundle_root", str(folder)]
    for key, value in overrides.items():
        words += [f"--{key.replace('__', '#')}", str(value)]
    return [sys.executable, *words]


def run_bundle(bundle: str, verb: str, configs: Sequence[str], **overrides: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        bundle_command(bundle, verb, configs, **overrides), capture_output=True, text=True, timeout=300
    )
