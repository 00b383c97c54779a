"""Data lists of trainings: which images validate, and what labels of films look like."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monai_mae_ext.data.sections import position_of
from monai_mae_ext.errors import UserError

__all__ = ["Items", "read_findings", "split"]

Items = list[dict[str, Any]]


def split(items: Items, share: float) -> tuple[Items, Items]:
    """Training and validation by a hash of each image's name, so that images added later move none.

    About a ``share`` validates, at least one image. A single image does both, and so do all for a share of 0 or less.
    """
    place = {item["image"]: position_of(Path(item["image"]).name) for item in items}
    ordered = sorted(items, key=lambda item: place[item["image"]])
    if len(items) == 1 or share <= 0:
        return ordered, ordered
    count = max(1, sum(position < share for position in place.values()))
    return ordered[count:] or ordered, ordered[:count]


def read_findings(path: str, names: Sequence[str]) -> tuple[int, ...]:
    """0 or 1 for each of ``names``, from a JSON file ``{"findings": [NAME, ...]}``.

    Raises:
        UserError: naming the file, if it is something else or has other names.
    """
    try:
        findings = json.loads(Path(path).read_text())["findings"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f'{path} is no list of findings: save {{"findings": ["{names[0]}"]}}') from error
    if unknown := set(findings).difference(names):
        raise UserError(f"{path} has {', '.join(sorted(unknown))}, the findings are {', '.join(names)}")
    return tuple(int(name in findings) for name in names)
