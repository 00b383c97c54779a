"""Items of a configuration by their ids, as MONAI finds them, without evaluating any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monai.bundle import ConfigParser, ReferenceResolver

__all__ = ["MISSING", "absolute", "items", "lookup", "references", "resolve"]

MISSING = object()


def children(config: Any) -> dict[str, Any]:
    """What lies directly in a dictionary or list, by the last part of its id."""
    pairs = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    return {str(key): value for key, value in pairs}


def items(config: Any, id: str = "") -> Iterator[tuple[str, Any]]:
    """Yield everything in ``config`` with its id, such as ``train#handlers#0``, parents first."""
    for key, value in children(config).items():
        below = f"{id}#{key}" if id else key
        yield below, value
        yield from items(value, below)


def absolute(config: Any, id: str = "") -> Any:
    """A copy of ``config`` whose relative references, such as ``@#sibling``, are absolute.

    One that climbs above the root stays as it is, and then names nothing.
    """
    if isinstance(config, dict):
        return {key: absolute(value, f"{id}::{key}" if id else str(key)) for key, value in config.items()}
    if isinstance(config, list):
        return [absolute(value, f"{id}::{number}") for number, value in enumerate(config)]
    if isinstance(config, str) and ConfigParser.relative_id_prefix.search(ReferenceResolver.normalize_id(config)):
        try:
            return ConfigParser.resolve_relative_ids(id, config)
        except ValueError:
            return config
    return config


def references(value: Any) -> list[str]:
    """Ids that a string refers to: one that is nothing but a reference, or an expression with any number of them."""
    if not isinstance(value, str):
        return []
    return [id.replace("::", "#") for id in ReferenceResolver.match_refs_pattern(value)]


def lookup(config: Any, id: str) -> Any:
    """The item with an id, ``MISSING`` if there is none. Macros on the way are followed; references are not, for MONAI
    does not look behind them either."""
    value = config
    for key in ReferenceResolver.split_id(id):
        value = follow_macros(config, children(value).get(key, MISSING))
    return value


def follow_macros(config: Any, value: Any) -> Any:
    while isinstance(value, str) and value.startswith("%"):
        value = lookup(config, value[1:])
    return value


def resolve(config: Any, value: Any) -> Any:
    """What a macro or a single reference, ``@id`` or ``$@id``, stands for in the end, ``MISSING`` if nothing; any other
    value itself."""
    value = follow_macros(config, value)
    for id in references(value):
        if value.removeprefix("$") in (f"@{id}", f"@{ReferenceResolver.normalize_id(id)}"):
            return resolve(config, lookup(config, id))
    return value
