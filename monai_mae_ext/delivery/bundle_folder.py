"""A bundle's folder, its configurations read once, and what is found wrong with it."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from monai.bundle import ConfigParser
from monai.utils import OptionalImportError

from monai_mae_ext.delivery.config_ids import absolute

__all__ = ["METADATA", "BundleFolder", "Config", "Finding"]

METADATA = "configs/metadata.json"
SUFFIXES = (".json", ".yaml", ".yml")
WORKFLOWS = ("train", "inference")


class Finding(NamedTuple):
    """What is wrong at ``key`` of ``file``, relative to the bundle, and what to do about it."""

    file: str
    key: str
    problem: str
    cure: str

    def __str__(self) -> str:
        return f"{self.file}: {f'{self.key}: ' if self.key else ''}{self.problem}; {self.cure}"


class Config(NamedTuple):
    """A configuration that stands alone: metadata is its item ``_meta_``."""

    file: str
    content: dict[str, Any]


class BundleFolder:
    """Reads all configurations of a bundle. Nothing in them is evaluated.

    Args:
        root: the folder.

    Attributes:
        configs: contents by file, metadata and overlays among them, such as ``configs/train.json``.
        large_files: the same of ``large_files.yml`` in the bundle's root.
        unreadable: findings on files that could not be read; these files are nowhere else.
    """

    def __init__(self, root: str | os.PathLike) -> None:
        self.root = Path(root).resolve()
        self.unreadable: list[Finding] = []
        self.configs = self.read_all("configs/*")
        self.large_files = self.read_all("large_files*")

    def read_all(self, pattern: str) -> dict[str, dict[str, Any]]:
        paths = [path for path in sorted(self.root.glob(pattern)) if path.suffix in SUFFIXES]
        contents = {path.relative_to(self.root).as_posix(): self.read(path) for path in paths}
        return {file: content for file, content in contents.items() if content is not None}

    def read(self, path: Path) -> dict[str, Any] | None:
        file = path.relative_to(self.root).as_posix()
        try:
            with warnings.catch_warnings():
                # MONAI only warns of a key that comes twice, and takes the last
                warnings.simplefilter("error", UserWarning)
                content = ConfigParser.load_config_file(path)
                if not isinstance(content, dict):
                    raise ValueError("it is no dictionary")
                # keys such as "train#dataset" of a whole configuration find their places
                return ConfigParser.load_config_files(path) if path.stem in WORKFLOWS else content
        except OptionalImportError:
            self.unreadable.append(Finding(file, "", "needs PyYAML", "python -m pip install pyyaml"))
        except Exception as error:  # whatever a parser says of one file, the others are read
            reason = " ".join(str(error).split())
            self.unreadable.append(
                Finding(file, "", f"cannot be read: {reason}", "correct it, or move what is no configuration elsewhere")
            )
        return None

    @property
    def metadata(self) -> dict[str, Any]:
        return self.configs.get(METADATA, {})

    def file_of(self, name: str) -> str | None:
        """The file of a configuration by its name without suffix, readable or not."""
        files = [f"configs/{name}{suffix}" for suffix in SUFFIXES]
        return next((file for file in files if (self.root / file).is_file()), None)

    def workflow(self, name: str) -> Config | None:
        """The configuration "train" or "inference", its references absolute; None if it cannot be read."""
        file = self.file_of(name)
        if file not in self.configs:
            return None
        return Config(file, {**absolute(self.configs[file]), "_meta_": self.metadata})
