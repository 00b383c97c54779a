"""A model zoo is a folder that any web server can serve: zips, ``model_info.json``, an index page, sums."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.version import Version

from monai_mae_ext.checksums import sha256_of
from monai_mae_ext.delivery.archive import write_zip
from monai_mae_ext.delivery.index_page import index_page
from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write

__all__ = ["newest", "publish"]


def publish(out: Path, name: str, files: Mapping[str, bytes], url: str) -> None:
    """Add a bundle's ``files``, contents by path, to the zoo ``out`` under the version in its metadata.

    Raises:
        UserError: if that version was published with other bytes.
    """
    version = json.loads(files["configs/metadata.json"])["version"]
    path = out / f"{name}_v{version}.zip"
    packed = path.with_name(f".{path.name}")
    write_zip(packed, {f"{name}/{inside}": content for inside, content in files.items()})
    try:
        if path.exists() and sha256_of(path) != sha256_of(packed):
            raise UserError(
                f"{path} was published with other bytes: raise the version in configs/metadata.json, or delete that "
                "zip if nobody has it yet"
            )
        packed.replace(path)
    finally:
        packed.unlink(missing_ok=True)
    write_lists(out, url)
    print(f"{path}  {path.stat().st_size / 2**20:.1f} MiB")


def write_lists(out: Path, url: str) -> None:
    """Write what lists the zips of ``out``: ``model_info.json`` as MONAI reads it, ``SHA256SUMS``, ``index.html``."""
    zips = {path.stem: path for path in sorted(out.glob("*_v*.zip"))}
    sums = {stem: sha256_of(path) for stem, path in zips.items()}
    listed = json.loads((out / "model_info.json").read_text()) if (out / "model_info.json").exists() else {}
    info = {stem: {"checksum": sums[stem], "hash_type": "sha256"} for stem in zips}
    for stem, path in zips.items():
        elsewhere = f"{url.rstrip('/')}/{path.name}" if url else path.name
        info[stem]["source"] = elsewhere if url else listed.get(stem, {}).get("source", elsewhere)
    write(out / "model_info.json", json.dumps(info, indent=4) + "\n")
    write(out / "SHA256SUMS", "".join(f"{sums[stem]}  {path.name}\n" for stem, path in zips.items()))
    write(out / "index.html", index_page({zips[stem]: sums[stem] for stem in newest(info)}))


def newest(info: Mapping[str, Any], name: str | None = None) -> list[str]:
    """The keys, ``NAME_vVERSION``, of each bundle's newest version, or of one bundle's."""
    latest: dict[str, str] = {}
    for key in info:
        bundle, version = key.split("_v")
        if name in (None, bundle) and (bundle not in latest or Version(version) > Version(latest[bundle])):
            latest[bundle] = version
    return [f"{bundle}_v{version}" for bundle, version in sorted(latest.items())]


def write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text)
