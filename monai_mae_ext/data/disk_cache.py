"""Items behind their deterministic transforms, kept on disk and mapped into memory: for data that outgrow it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch
from monai.data import MetaTensor
from monai.data.utils import pickle_hashing
from monai.transforms import Compose, EnsureTyped, RandomizableTrait, Transform

import monai_mae_ext
from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write

__all__ = ["DiskCache"]

logger = logging.getLogger(__name__)

BLOCK = 2**20


class DiskCache:
    """A folder of items, each under a hash of its files' contents, its other values and the transforms.

    So a file that changes is decoded again, one that only moves is not, and items of other transforms lie beside each
    other. Entries appear whole or not at all; one that cannot be read is made again. Several processes may share a
    folder, whatever their devices. Tensors come back mapped: only what is cropped out of them is read from disk, and
    what is written to them stays in memory; those that the transforms bring to a device are brought there. Of metadata
    plain values, arrays and tensors are kept, of applied operations nothing. Where an entry cannot be written, for want
    of space, that is said once, and items are made each time.

    Args:
        folder: made if it is missing; what is not needed any more can be deleted at any time, even all of it.
        transform: whose deterministic part makes the items.

    Raises:
        UserError: if there is something else at ``folder``.
    """

    def __init__(self, folder: str | os.PathLike, transform: Compose) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"{self.folder} is no folder: give cache_dir another")
        versions = f"{monai.__version__} {torch.__version__} {monai_mae_ext.__version__}"
        fixed = deepcopy(list(transform.transforms[: transform.get_index_of_first(is_random)]))
        self.devices: dict[Any, Any] = {}
        for one in fixed:
            if isinstance(one, EnsureTyped):
                self.devices |= dict.fromkeys(one.keys, one.converter.device)
                one.converter.device = None
        self.recipe = hashlib.sha256(versions.encode() + pickle_hashing(fixed)).hexdigest()
        self.full = False

    def item(self, source: Mapping[str, Any], make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """What ``make`` makes of an item of the data list, or made of it once."""
        values = {key: self.identity(value) for key, value in source.items()}
        name = hashlib.sha256(f"{self.recipe} {json.dumps(values, sort_keys=True)}".encode()).hexdigest()
        path = self.folder / name[:2] / f"{name}.pt"
        if path.is_file():
            try:
                return self.recall(path, source)
            except Exception as error:
                logger.warning("%s cannot be read (%s) and is made again", path, type(error).__name__)
        made = make()
        try:
            with atomic_write(path) as temporary:
                torch.save({key: stored(value) for key, value in made.items()}, temporary)
        except (OSError, RuntimeError) as error:  # torch has its own error for a full disk
            if not self.full:
                logger.warning("%s takes no more items (%s): what is missing is made each time", self.folder, error)
            self.full = True
            return dict(made)
        return self.recall(path, source)

    def recall(self, path: Path, source: Mapping[str, Any]) -> dict[str, Any]:
        """An entry as the transforms made it, on its device; files have the names that they have now."""
        item = {}
        for key, value in torch.load(path, mmap=True, weights_only=True).items():
            if isinstance(value, dict) and set(value) == {"tensor", "meta"}:
                named = isinstance(source.get(key), str | os.PathLike)
                meta = value["meta"] | ({"filename_or_obj": str(source[key])} if named else {})
                value = MetaTensor(value["tensor"], meta=meta)
            item[key] = value.to(self.devices[key]) if self.devices.get(key) else value
        return item

    def identity(self, value: Any) -> Any:
        """The contents of a file or folder, by their hash; anything else as it is."""
        if isinstance(value, str | os.PathLike) and os.path.exists(value):
            path = Path(value)
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            return [self.content(file) for file in files if file.is_file()]
        if isinstance(value, list | tuple):
            return [self.identity(one) for one in value]
        return value

    def content(self, file: Path) -> str:
        """The sha256 of a file; it is read once, until its size or time of change differs."""
        facts = file.stat()
        seen = hashlib.sha256(f"{file.absolute()} {facts.st_size} {facts.st_mtime_ns}".encode()).hexdigest()
        note = self.folder / "seen" / seen[:2] / seen
        if note.is_file():
            return note.read_text()
        digest = hashlib.sha256()
        with open(file, "rb") as opened:
            while block := opened.read(BLOCK):
                digest.update(block)
        with atomic_write(note) as temporary:
            temporary.write_text(digest.hexdigest())
        return digest.hexdigest()


def is_random(transform: Any) -> bool:
    """Whether MONAI's caches would end before a transform."""
    return isinstance(transform, RandomizableTrait) or not isinstance(transform, Transform)


def stored(value: Any) -> Any:
    """A value as ``torch.load`` reads it with ``weights_only``."""
    if isinstance(value, MetaTensor):
        meta = {name: plain for name, one in value.meta.items() if (plain := as_plain(one)) is not None}
        return {"tensor": value.as_tensor().cpu().contiguous(), "meta": meta}
    if isinstance(value, torch.Tensor):
        return value.cpu().contiguous()
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def as_plain(value: Any) -> Any:
    """A value without classes of its own, or None."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return torch.from_numpy(value.copy())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Sequence) and not isinstance(value, str):
        parts = [as_plain(one) for one in value]
        return parts if all(part is not None for part in parts) else None
    return value if isinstance(value, str | bool | int | float | torch.Tensor) else None
