"""What packed weights come from: configuration, data, versions. Hashes, no names of files: they may be patients'."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_mae_ext.checksums import sha256_of
from monai_mae_ext.errors import UserError

__all__ = ["config_hash", "data_manifest", "installed_versions"]


def config_hash(config: Mapping[str, Any]) -> str:
    """The sha256 of a configuration, whatever its layout and the order of its keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def data_manifest(dataset_dir: str | os.PathLike) -> dict[str, Any]:
    """How many files a data set has, and a sha256 over their relative paths and contents.

    Raises:
        UserError: if there is no such folder, or nothing in it.
    """
    folder = Path(dataset_dir)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if not paths:
        raise UserError(f"no data set at {folder}: correct the path")
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n".encode())
    return {"files": len(paths), "sha256": digest.hexdigest()}


def installed_versions() -> dict[str, str]:
    """Versions of Python, this package and all it requires, as they are installed here."""
    required = importlib.metadata.requires("monai-mae-ext") or []
    names = [re.split(r"[^\w.-]", line)[0] for line in required if "extra ==" not in line]
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in ["monai-mae-ext", *names]
    }
