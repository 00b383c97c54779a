"""The code that a packed bundle carries, under a name of its own, so that two bundles never run each other's."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import monai_mae_ext

__all__ = ["CarriedCode"]

PACKAGE = "monai_mae_ext"
WHOLE = '''
import sys

from {name} import {parts}


def whole():
    """This package, all parts of it imported."""
    return sys.modules[__name__]
'''
"""The end of the renamed package's ``__init__.py``."""
LEFT_AT_HOME = ("bench", "delivery", "dicom", "label", "phantoms", "__main__.py")
"""What no bundle's configuration names."""


class CarriedCode:
    """The package's files, renamed to ``monai_mae_ext_DIGEST``, and configurations that use them under that name.

    The digest is one of the files themselves: bundles with the same code share it, bundles with other code cannot meet
    it. MONAI evaluates ``$import`` before the bundle's folder is importable, so a configuration's imports of the
    package become one item, ``code``, which is the package with all its parts.

    Args:
        package: its folder.
    """

    def __init__(self, package: Path = Path(monai_mae_ext.__file__).parent) -> None:
        self.sources = {
            path.relative_to(package).as_posix(): path.read_text()
            for path in sorted(package.rglob("*.py"))
            if path.relative_to(package).parts[0] not in LEFT_AT_HOME
        }
        listing = "".join(f"{name}\n{len(text)}\n{text}" for name, text in {**self.sources, "": WHOLE}.items())
        self.name = f"{PACKAGE}_{hashlib.sha256(listing.encode()).hexdigest()[:12]}"

    def files(self) -> dict[str, str]:
        """Texts of the renamed package, by their paths in the bundle."""
        parts = sorted({Path(path).parts[0].removesuffix(".py") for path in self.sources} - {"__init__"})
        files = {f"{self.name}/{path}": renamed(text, self.name) for path, text in self.sources.items()}
        files[f"{self.name}/__init__.py"] += WHOLE.format(name=self.name, parts=", ".join(parts))
        return files

    def configuration(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The same configuration, whole or an overlay, with the package under its new name."""
        own = {key: self.rename(value) for key, value in config.items()}
        for key in own.keys() & {"imports", "+imports"}:
            own[key] = [line for line in own[key] if not line.startswith(f"$import {self.name}")]
        if "imports" in own:
            imports = ["$import os", "$import sys", *own.pop("imports")]
            own = {"imports": imports, "code": self.loader(), **own}
        if "network_def" in own:
            own["network_def"] = {"_requires_": "@code", **own["network_def"]}
        return own

    def loader(self) -> dict[str, str]:
        """An item whose value is the package, imported from the bundle's folder."""
        return {"_requires_": "$sys.path.append(os.path.abspath(@bundle_root))", "_target_": f"{self.name}.whole"}

    def rename(self, value: Any) -> Any:
        """Targets get the new name, expressions use the item ``code``."""
        if isinstance(value, dict):
            return {key: self.rename(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.rename(item) for item in value]
        if isinstance(value, str) and value.startswith("$") and not value.startswith("$import "):
            return re.sub(rf"\b{PACKAGE}\.", "@code.", value)
        return renamed(value, self.name) if isinstance(value, str) else value


def renamed(text: str, name: str) -> str:
    """``text`` with the package's name exchanged where it is a module's name; commands in messages stay as they are."""
    return re.sub(rf"(?<!-m ){PACKAGE}(?=\.)|(?<=from ){PACKAGE}(?= import)|(?<=import ){PACKAGE}\b", name, text)
