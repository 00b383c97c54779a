"""Rules on weights: each file has a sha256 beside it or in ``large_files``, and the files here agree with theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from monai_mae_ext.checksums import sha256_of, sum_beside
from monai_mae_ext.delivery.bundle_folder import BundleFolder, Finding

__all__ = ["check_weights"]

SUFFIXES = (".pt", ".ts", ".onnx", ".safetensors")
SHA256 = re.compile("[0-9a-fA-F]{64}")
OUTSIDE = re.compile(r"[/\\~]|[A-Za-z]:|(.*[/\\])?\.\.([/\\]|$)")
"""Starts of paths that are not relative, and steps up."""


def check_weights(bundle: BundleFolder) -> Iterator[Finding]:
    """Look at ``large_files.yml`` and its like, and at every file of weights in ``models``."""
    claims: dict[str, Any] = {}
    for file, content in bundle.large_files.items():
        entries = content.get("large_files")
        if not isinstance(entries, list):
            yield Finding(file, "large_files", "is no list", "list entries of path, url, hash_val and hash_type")
            continue
        for number, entry in enumerate(entries):
            entry = entry if isinstance(entry, dict) else {}
            claims[PurePosixPath(str(entry.get("path"))).as_posix()] = entry.get("hash_val")
            for key, problem, cure in bad_entry(entry):
                yield Finding(file, f"large_files#{number}#{key}", problem, cure)
    for path in sorted((bundle.root / "models").rglob("*")):
        if path.suffix in SUFFIXES and path.is_file():
            yield from bad_sums(path.relative_to(bundle.root).as_posix(), bundle, claims)


def bad_entry(entry: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield key, problem and cure."""
    path, url, kind, sum = (entry.get(key) for key in ("path", "url", "hash_type", "hash_val"))
    if not isinstance(path, str) or OUTSIDE.match(path):
        yield "path", f"is {path!r}, not a path inside the bundle", "give it relative to the bundle, without .."
    if not str(url).startswith("https://"):
        yield "url", f"is {url!r}, not an https address", "serve the file by https"
    if sum is None:
        yield "hash_val", "is missing: MONAI would take any file", "give the file's sha256"
    if str(kind).lower() == "md5":
        yield "hash_type", "is md5, which is broken and not MONAI's default", 'give the sha256 and "sha256"'
    elif kind != "sha256":
        yield "hash_type", f"is {kind!r}, not 'sha256'", 'give the sha256 and "sha256"'
    elif sum is not None and not SHA256.fullmatch(str(sum)):
        yield "hash_val", f"{sum!r} is no sha256, which has 64 hexadecimal digits", "give what sha256sum prints"


def bad_sums(file: str, bundle: BundleFolder, claims: dict[str, Any]) -> Iterator[Finding]:
    path = bundle.root / file
    beside = sum_beside(path)
    here = f"cd {path.parent.relative_to(bundle.root).as_posix()} && sha256sum {path.name} > {beside.name}"
    sums = {str(claims[file]).lower()} if SHA256.fullmatch(str(claims.get(file))) else set()
    if beside.is_file():
        line = re.fullmatch(r"(\S+) [ *](.+)\n?", beside.read_text(errors="replace"))
        if not line or not SHA256.fullmatch(line[1]) or line[2] != path.name:
            yield Finding(beside.relative_to(bundle.root).as_posix(), "", "is not as sha256sum writes it", here)
            return
        sums.add(line[1].lower())
    elif file not in claims:
        yield Finding(file, "", "has no sha256", f"{here}, or list it in large_files.yml")
    if sums and sums != {sha256_of(path)}:
        yield Finding(file, "", "is not the file that its sha256 was made of", "restore the file, or make the sum anew")
