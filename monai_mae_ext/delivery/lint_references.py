"""Rules on ``@`` and ``%`` of workflows: they name what is there."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from monai.bundle import ConfigParser

from monai_mae_ext.delivery.bundle_folder import BundleFolder, Config, Finding
from monai_mae_ext.delivery.config_ids import MISSING, items, lookup, references

__all__ = ["check_references"]


def check_references(bundle: BundleFolder) -> Iterator[Finding]:
    """Look at references of training and inference.

    Overlays are left out: what they refer to may be in the file that they are laid over.
    """
    for name in ("train", "inference"):
        if config := bundle.workflow(name):
            for id, value in items(config.content):
                if isinstance(value, str) and not id.startswith("_meta_#"):
                    yield from bad_references(config, id, value)


def bad_references(config: Config, id: str, value: str) -> Iterator[Finding]:
    if value.startswith("%"):
        file, item = ConfigParser.split_path_id(value[1:])
        if file:
            cure = "copy the text here: the path is relative to wherever users start MONAI"
            yield Finding(config.file, id, f"{value} copies from another file", cure)
        elif lookup(config.content, item) is MISSING:
            yield Finding(config.file, id, f"{value} names no item", hint(config, item.replace("::", "#")))
        return
    named = references(value)
    for item in named:
        if lookup(config.content, item) is MISSING:
            yield Finding(config.file, id, f"@{item} names no item", hint(config, item))
    if value.startswith("@") and not named:
        yield Finding(config.file, id, f"{value} is text to MONAI", "use letters, digits and underscores in ids")


def hint(config: Config, item: str) -> str:
    near = difflib.get_close_matches(item, [id for id, _ in items(config.content)], n=1, cutoff=0.8)
    return f"did you mean {near[0]}?" if near else "define it, or correct the name"
