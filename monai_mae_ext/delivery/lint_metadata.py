"""Rules on metadata: a strict schema, versions that MONAI sorts rightly, a name for each channel."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from monai_mae_ext.delivery.bundle_folder import METADATA, BundleFolder, Finding
from monai_mae_ext.delivery.config_ids import items

__all__ = ["check_metadata"]

SCHEMA = json.loads(Path(__file__).with_name("metadata_schema.json").read_text())


def check_metadata(bundle: BundleFolder) -> Iterator[Finding]:
    """Look at ``configs/metadata.json``."""
    if METADATA in bundle.configs:
        yield from against_schema(bundle.metadata)
        yield from versions(bundle.metadata)
        yield from channels(bundle.metadata)
    elif not (bundle.root / METADATA).exists():
        yield Finding(METADATA, "", "is missing", "write it: MONAI reads no bundle without it")


def against_schema(metadata: dict[str, Any]) -> Iterator[Finding]:
    for error in sorted(Draft202012Validator(SCHEMA).iter_errors(metadata), key=lambda error: str(error.json_path)):
        yield as_finding(error)


def as_finding(error: ValidationError) -> Finding:
    """A schema's error, its cure the description in the schema of what is wrong or missing."""
    path = [str(part) for part in error.absolute_path]
    rule = error.schema
    if error.validator == "required":
        (name,) = re.findall("^'(.+)' is", error.message)
        path.append(name)
        rule = rule.get("properties", {}).get(name, {})
        rule = SCHEMA["$defs"].get(rule.get("$ref", "").split("/")[-1], {}) | rule
    problem = textwrap.shorten(error.message, 100)
    return Finding(METADATA, "#".join(path), problem, rule.get("description", "see MONAI's bundle specification"))


def versions(metadata: dict[str, Any]) -> Iterator[Finding]:
    version, changelog = metadata.get("version"), metadata.get("changelog")
    if not isinstance(version, str):
        return
    if not re.fullmatch(r"\d\.\d\.\d", version):
        yield Finding(
            METADATA,
            "version",
            f"{version!r} is not MAJOR.MINOR.PATCH of one digit each",
            "MONAI sorts versions as texts, 0.10.0 before 0.9.0: raise the part to the left instead",
        )
    if isinstance(changelog, dict) and version not in changelog:
        yield Finding(METADATA, "changelog", f"has no entry for version {version}", "say what that version changed")


def channels(metadata: dict[str, Any]) -> Iterator[Finding]:
    for id, tensor in items(metadata):
        if not re.fullmatch(r"\w+_data_format#outputs#[^#]+", id) or not isinstance(tensor, dict):
            continue
        names, number = tensor.get("channel_def"), tensor.get("num_channels")
        if tensor.get("format") in ("segmentation", "classification") and isinstance(names, dict):
            if len(names) != number:
                problem = f"names {len(names)} channels, num_channels is {number}"
                yield Finding(METADATA, f"{id}#channel_def", problem, "name each channel once, the background too")
