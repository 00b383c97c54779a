"""Items behind their deterministic transforms, kept on disk and mapped into memory: for data that outgrow it."""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import os
import pickle
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
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
from monai_mae_ext.checksums import sha256_of
from monai_mae_ext.data.item_file import item_from, write_item
from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write

__all__ = ["DiskCache"]

logger = logging.getLogger(__name__)

DIGEST = re.compile("[0-9a-f]{64}")


class DiskCache:
    """A folder of items, each under a hash of its files' contents, its other values and the transforms.

    So a file that changes is decoded again, one that only moves is not, and items of other transforms lie beside each
    other. Entries appear whole or not at all; one that cannot be read is made again. Several processes may share a
    folder, whatever their devices. Tensors come back mapped (`item_from`); those that the transforms bring to a device
    are brought there. Where the folder takes no more, for want of space or because no file holds such values, that is
    said once, and items are made each time.

    Args:
        folder: made if it is missing; what is not needed any more can be deleted at any time, even all of it.
        transform: whose deterministic part makes the items.

    Raises:
        UserError: if there is something else at ``folder``, or transforms that cannot be told from others.
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
        try:
            self.recipe = hashlib.sha256(versions.encode() + pickle_hashing(fixed)).hexdigest()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UserError(
                f"cache_dir needs transforms that can be pickled, to tell them from others ({error}): no lambda before "
                "the first random one"
            ) from error
        self.digests: dict[str, str] = {}
        self.full = False

    def item(self, source: Mapping[str, Any], make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """What ``make`` makes of an item of the data list, or made of it once."""
        values = {key: self.identity(value) for key, value in source.items()}
        name = hashlib.sha256(f"{self.recipe} {json.dumps(values, sort_keys=True)}".encode()).hexdigest()
        path = self.folder / name[:2] / f"{name}.safetensors"
        if (item := self.recall(path, source)) is not None:
            return item
        made = make()
        try:
            write_item(path, made)
        except Exception as error:
            self.say_full(error)
            return dict(made)
        item = self.recall(path, source)
        return dict(made) if item is None else item

    def recall(self, path: Path, source: Mapping[str, Any]) -> dict[str, Any] | None:
        """An entry as the transforms made it, on its device, or None. Paths that ``source`` has are named anew."""
        try:
            item = item_from(path)
        except FileNotFoundError:
            return None
        except Exception as error:
            logger.warning("%s cannot be read (%s) and is made again", path, type(error).__name__)
            return None
        for key, value in item.items():
            if isinstance(value, MetaTensor) and isinstance(source.get(key), str | os.PathLike):
                value.meta["filename_or_obj"] = str(source[key])
            if self.devices.get(key):
                item[key] = value.to(self.devices[key])
        return item

    def identity(self, value: Any) -> Any:
        """The contents of a file or folder, by their hash; anything else as it is, as JSON has it."""
        if isinstance(value, str | os.PathLike):
            files = files_of(Path(value)) if os.path.exists(value) else []  # a report is no path that pathlib bears
            return [self.content(file) for file in files] or str(value)
        if isinstance(value, list | tuple):
            return [self.identity(one) for one in value]
        if isinstance(value, np.ndarray | np.generic | torch.Tensor):
            return self.identity(value.tolist())
        return value

    def content(self, file: Path) -> str:
        """The sha256 of a file; it is read once, until its size or time of change differs."""
        facts = file.stat()
        place = os.fsencode(file.absolute())
        seen = hashlib.sha256(b"%s %d %d" % (place, facts.st_size, facts.st_mtime_ns)).hexdigest()
        if seen not in self.digests:
            self.digests[seen] = self.noted(file, self.folder / "seen" / seen[:2] / seen)
        return self.digests[seen]

    def noted(self, file: Path, note: Path) -> str:
        """The sha256 that ``note`` has of a file; a note that is missing or damaged is written."""
        with suppress(OSError, UnicodeDecodeError):
            if DIGEST.fullmatch(text := note.read_text(encoding="ascii")):
                return text
        digest = sha256_of(file)
        try:
            with atomic_write(note, durable=False) as temporary:
                temporary.write_text(digest, encoding="ascii")
        except OSError as error:
            self.say_full(error)
        return digest

    def say_full(self, error: Exception) -> None:
        if not self.full:
            logger.warning("%s takes no more items (%s): what is missing is made each time", self.folder, error)
        self.full = True


def files_of(path: Path) -> list[Path]:
    """The files that hold what is at ``path``: those of a folder, MetaImage's voxels beside their header."""
    if path.is_dir() and len(path.parts) > 1:  # a single word may be a patient that a folder is called like
        return [file for file in sorted(path.rglob("*")) if file.is_file()]
    if path.suffix.lower() == ".mhd":
        return [file for file in sorted(path.parent.glob(f"{glob.escape(path.stem)}.*")) if file.is_file()]
    return [path] if path.is_file() else []


def is_random(transform: Any) -> bool:
    """Whether MONAI's caches would end before a transform."""
    return isinstance(transform, RandomizableTrait) or not isinstance(transform, Transform)
