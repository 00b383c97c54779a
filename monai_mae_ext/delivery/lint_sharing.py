"""Rules on what training and inference share: one network, one grid, one brightness."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from monai.bundle import ReferenceResolver

from monai_mae_ext.delivery.bundle_folder import BundleFolder, Config, Finding
from monai_mae_ext.delivery.config_ids import MISSING, children, lookup, references, resolve

__all__ = ["check_sharing"]

MONAI_TRANSFORM = re.compile(
    r"(?:.*\.)?(Orientation|Spacing|ScaleIntensityRange|ScaleIntensity|NormalizeIntensity)(d|D|Dict)?"
)
OWN_TRANSFORM = re.compile(r"(monai_mae_ext\w*\..*\.(?!Rand)\w+)")
"""Packed bundles have the package under a longer name. Random transforms are training's own."""
NETWORK_FREE = re.compile("_desc_|_disabled_|_requires_|.*drop.*|.*pretrained.*|freeze.*|use_checkpoint")
"""Arguments that change how a network trains, but not what its weights are or do."""
TRANSFORM_FREE = re.compile(
    "_desc_|_disabled_|_requires_|keys|allow_missing_keys|meta_keys|meta_key_postfix|lazy"
    "|mode|padding_mode|align_corners|dtype"
)
"""Arguments about keys, or with a value for each key: training has labels too."""
Difference = tuple[str, Any, Any]


def check_sharing(bundle: BundleFolder) -> Iterator[Finding]:
    """Compare the networks and the deterministic preprocessing of training and inference."""
    train, inference = bundle.workflow("train"), bundle.workflow("inference")
    if train and inference:
        yield from networks(train, inference)
        yield from preprocessing(train, inference)


def networks(train: Config, inference: Config) -> Iterator[Finding]:
    ours, theirs = lookup(train.content, "network_def"), lookup(inference.content, "network_def")
    if ours is MISSING:
        yield Finding(
            train.file, "network_def", "is missing", "define it: monai.bundle.load takes the network from here"
        )
    elif theirs is not MISSING:
        for difference in differences(train, inference, ours, theirs, "network_def", NETWORK_FREE):
            yield different(train, inference, difference, "write both alike, or weights may not fit")


def preprocessing(train: Config, inference: Config) -> Iterator[Finding]:
    """Compare each shared transform of training with the one of its name in inference that is most like it."""
    theirs = list(transforms(inference.content, "preprocessing", "dataset#transform"))
    touched = {key for _, transform in theirs for key in keys(inference.content, transform)}
    for _, ours in transforms(train.content, "train#preprocessing", "train#dataset#transform"):
        name = shared_name(ours)
        if not name or not theirs or touched.isdisjoint(keys(train.content, ours)):
            continue
        candidates = [
            list(differences(train, inference, ours, transform, id, TRANSFORM_FREE))
            for id, transform in theirs
            if shared_name(transform) == name
        ]
        if candidates:
            for difference in min(candidates, key=len):
                yield different(train, inference, difference, "write both alike: the network knows training's images")
        elif MONAI_TRANSFORM.fullmatch(ours["_target_"]):
            problem = f"lacks {name}, which {train.file} has"
            yield Finding(inference.file, "preprocessing", problem, "add it: the network knows training's images")


def different(train: Config, inference: Config, difference: Difference, cure: str) -> Finding:
    id, ours, theirs = difference
    return Finding(inference.file, id, f"is {shown(theirs)}, in {train.file} {shown(ours)}", cure)


def shown(value: Any) -> str:
    return "not given" if value is MISSING else textwrap.shorten(json.dumps(value, default=str), 60)


def differences(
    train: Config, inference: Config, ours: Any, theirs: Any, id: str, free: re.Pattern[str]
) -> Iterator[Difference]:
    """Yield where two items differ once their references are followed: id, training's value, inference's value.

    Two expressions are alike if their texts are, and all that they refer to.
    """
    ours, theirs = resolve(train.content, ours), resolve(inference.content, theirs)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in [key for key in {**ours, **theirs} if not free.fullmatch(key)]:
            values = ours.get(key, MISSING), theirs.get(key, MISSING)
            yield from differences(train, inference, *values, f"{id}#{key}", free)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, values in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(train, inference, *values, f"{id}#{number}", free)
    elif spelt(ours) != spelt(theirs):
        yield id, ours, theirs
    else:
        for item in references(ours):
            values = lookup(train.content, item), lookup(inference.content, item)
            yield from differences(train, inference, *values, item, free)


def spelt(value: Any) -> Any:
    """A text with MONAI's one spelling of references, in which ``@a#b`` is ``@a::b``."""
    return ReferenceResolver.normalize_id(value) if isinstance(value, str) else value


def transforms(content: dict[str, Any], *ids: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the transforms that the first item which is there leads to, with their ids, in order.

    Lists, Compose, references, and expressions that join them are followed; an item that is disabled is none.
    """
    id = next((id for id in ids if lookup(content, id) is not MISSING), ids[0])
    value = lookup(content, id)
    if isinstance(value, dict) and "_target_" in value and str(value["_target_"]).split(".")[-1] != "Compose":
        if str(value.get("_disabled_")).lower() != "true":
            yield id, value
    elif isinstance(value, dict | list):
        for key in children(value):
            yield from transforms(content, f"{id}#{key}")
    else:
        for item in references(value):
            yield from transforms(content, item)


def shared_name(transform: dict[str, Any]) -> str | None:
    target = str(transform["_target_"])
    match = MONAI_TRANSFORM.fullmatch(target) or OWN_TRANSFORM.fullmatch(target)
    return match and match[1]


def keys(content: dict[str, Any], transform: dict[str, Any]) -> set[str]:
    """Keys that a transform works on; one in an expression counts as its text, and a transform without keys as one of
    images."""
    names = resolve(content, transform.get("keys", "image"))
    return {str(resolve(content, name)) for name in (names if isinstance(names, list) else [names])}
