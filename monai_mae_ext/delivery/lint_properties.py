"""Rules on workflows: the items that MONAI and its apps look for, and how they must be referred to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monai.bundle import ReferenceResolver
from monai.bundle.properties import InferProperties, TrainProperties
from monai.utils import BundleProperty, BundlePropertyConfig

from monai_mae_ext.delivery.bundle_folder import BundleFolder, Config, Finding
from monai_mae_ext.delivery.config_ids import MISSING, lookup

__all__ = ["check_properties"]

PROPERTIES: dict[str, dict[str, Any]] = {"train": TrainProperties, "inference": InferProperties}


def check_properties(bundle: BundleFolder) -> Iterator[Finding]:
    """Look for what MONAI's own lists of properties want in training and inference."""
    for name, properties in PROPERTIES.items():
        config = bundle.workflow(name)
        if config:
            yield from required_items(config, name, properties)
            yield from handler_lists(config, properties)
            yield from optional_items(config, properties)
        elif bundle.file_of(name) is None:
            cure = "write it, complete: MONAI's load, MONAI Label and the zoo's CI read one file"
            yield Finding(f"configs/{name}.json", "", "is missing", cure)


def as_shown(id: str) -> str:
    return id.replace("::", "#")


def required_items(config: Config, name: str, properties: dict[str, Any]) -> Iterator[Finding]:
    for item in properties.values():
        id = item[BundlePropertyConfig.ID]
        if item[BundleProperty.REQUIRED] and lookup(config.content, id) is MISSING:
            meaning = item[BundleProperty.DESC].rstrip(".")
            cure = f"define it under this very id, MONAI's {name} workflow requires it: {meaning}"
            yield Finding(config.file, as_shown(id), "is missing", cure)


def handler_lists(config: Config, properties: dict[str, Any]) -> Iterator[Finding]:
    """MONAI looks into lists of handlers, and adds its own to them, before anything is evaluated."""
    ids = [as_shown(item[BundlePropertyConfig.ID]) for item in properties.values()]
    for id in (id for id in ids if id.endswith("handlers")):
        handlers = lookup(config.content, id)
        if handlers is MISSING:
            continue
        if not isinstance(handlers, list):
            yield Finding(config.file, id, "is no literal list", "write a list of dictionaries, each with a _target_")
            continue
        for number in range(len(handlers)):
            handler = lookup(config.content, f"{id}#{number}")
            if not isinstance(handler, dict) or "_target_" not in handler:
                cure = "write the handler itself here, with its arguments: MONAI reads its _target_"
                yield Finding(config.file, f"{id}#{number}", "is no dictionary with a _target_", cure)


def optional_items(config: Config, properties: dict[str, Any]) -> Iterator[Finding]:
    """An item under its own id is of no use to an app if the engine uses another: MONAI wants ``@id`` at its place."""
    for name, item in properties.items():
        place = item.get(BundlePropertyConfig.REF_ID)
        if place is None:
            continue
        wanted = f"@{item[BundlePropertyConfig.ID]}"
        # these two are arguments of ValidationHandler, which may stand anywhere among the handlers
        in_handler = name in ("evaluator", "val_interval")
        places = [f"{id}::{place}" for id in validation_handlers(config)] if in_handler else [place]
        for id in places:
            used = lookup(config.content, id)
            if used is MISSING or used is None:
                continue
            cure = f'define it under that id and write "{as_shown(wanted)}"'
            if not isinstance(used, str):
                problem = f"is an inline value where MONAI expects {as_shown(wanted)}"
                yield Finding(config.file, as_shown(id), problem, cure)
            elif not used.startswith("$") and ReferenceResolver.normalize_id(used) != wanted:
                problem = f"is {used!r} where MONAI expects {as_shown(wanted)}"
                yield Finding(config.file, as_shown(id), problem, cure)


def validation_handlers(config: Config) -> Iterator[str]:
    handlers = lookup(config.content, "train#handlers")
    for number in range(len(handlers) if isinstance(handlers, list) else 0):
        if lookup(config.content, f"train#handlers#{number}#_target_") == "ValidationHandler":
            yield f"train#handlers#{number}"
