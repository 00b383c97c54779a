"""Fetch a bundle from a zoo: newest version, checked by its sha256, unpacked nowhere but in its folder."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from monai_mae_ext.checksums import sha256_of
from monai_mae_ext.delivery.archive import unpack
from monai_mae_ext.delivery.zoo import newest
from monai_mae_ext.errors import UserError

__all__ = ["download"]

TIMEOUT = 60
"""Seconds without an answer."""


def download(name: str, zoo: str, bundle_dir: str = "bundles", version: str | None = None) -> None:
    """Put a bundle into ``bundle_dir/NAME``.

    A folder of another version that lies there is kept as ``NAME_vVERSION`` beside it, with all that was put into it.

    Args:
        name: of the bundle.
        zoo: address of the folder that holds ``model_info.json``, ``https://...`` or ``file://...``.
        bundle_dir: where bundles lie.
        version: None for the newest.

    Raises:
        UserError: if the zoo cannot be reached or has no such bundle, if the file is not the one that the zoo lists, or
            if something that is no bundle lies in the way. Nothing is changed then.
    """
    base = zoo.rstrip("/") + "/"
    with fetched(base + "model_info.json") as path:
        info = json.loads(path.read_text())
    key = wanted(info, name, version, zoo)
    target, new = Path(bundle_dir) / name, key.removeprefix(f"{name}_v")
    old = installed_version(target)
    if old == new:
        print(f"{target} is {key} already")
        return
    with fetched(urljoin(base, info[key]["source"])) as path:
        if sha256_of(path) != info[key]["checksum"]:
            raise UserError(f"{info[key]['source']} is not the file that {zoo} lists, its sha256 differs: not unpacked")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}") as room:
            unpack(path, room, name)
            if old is not None:
                keep(target, old)
            os.replace(Path(room) / name, target)
    print(f"{target} is {key}")


def wanted(info: dict[str, Any], name: str, version: str | None, zoo: str) -> str:
    """The entry of the zoo's list that was asked for."""
    keys = newest(info, name) if version is None else [key for key in info if key == f"{name}_v{version}"]
    if not keys:
        raise UserError(f"{zoo} has no {name}{f' {version}' if version else ''}; it has {', '.join(sorted(info))}")
    return keys[0]


def installed_version(target: Path) -> str | None:
    """Version of the bundle in ``target``; None if there is nothing."""
    if not target.exists():
        return None
    try:
        return json.loads((target / "configs" / "metadata.json").read_text())["version"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{target} is no bundle: move it away, or name another --bundle_dir") from error


def keep(target: Path, version: str) -> None:
    """Move an older or newer bundle out of the way."""
    aside = target.with_name(f"{target.name}_v{version}")
    if aside.exists():
        raise UserError(f"{target} cannot be kept as {aside.name}, which is there already: move one of them away")
    target.rename(aside)
    print(f"{target} was version {version}: kept as {aside}")


@contextmanager
def fetched(url: str) -> Iterator[Path]:
    """A temporary file with what lies at ``url``."""
    if not url.startswith(("https://", "http://", "file://")):
        raise UserError(f"{url} is no address: it begins with https:// or file://")
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / "fetched"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, open(path, "wb") as file:
                shutil.copyfileobj(answer, file)
        except (urllib.error.URLError, OSError) as error:
            raise UserError(f"{url} cannot be fetched: {getattr(error, 'reason', error)}") from error
        yield path
