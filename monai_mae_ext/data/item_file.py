"""An item in one file: its tensors as safetensors, everything else as JSON in the header. No code is read."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from safetensors import safe_open

from monai_mae_ext.files import write_tensors

__all__ = ["item_from", "write_item"]

ITEM = "item"


def write_item(path: str | os.PathLike, item: Mapping[str, Any]) -> None:
    """Write an item as safetensors, atomically.

    Args:
        path: the file.
        item: of tensors, arrays, plain values, and lists, tuples and mappings of these. Arrays become tensors. Of a
            ``MetaTensor`` such metadata is kept, of applied operations nothing.

    Raises:
        TypeError: for a value of another type; what safetensors says of a tensor that it cannot hold.
    """
    tensors: dict[str, torch.Tensor] = {}
    described = {key: describe(value, tensors) for key, value in item.items()}
    write_tensors(path, tensors, {ITEM: json.dumps(described)})


def item_from(path: str | os.PathLike) -> dict[str, Any]:
    """The item in a file. Its tensors are mapped: what is used of them is read, what is written stays in memory.

    Raises:
        FileNotFoundError: if there is none.
        SafetensorError: if the file is damaged or cut short.
    """
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  a file is no mapping
        described = json.loads(file.metadata()[ITEM])
    return {key: restore(value, tensors) for key, value in described.items()}


def describe(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """JSON that tells how to make ``value`` again, each tensor of it being named and put into ``tensors``."""
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value)
    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = alone(value.detach().as_subclass(torch.Tensor).cpu(), tensors)
        return {"tensor": name} | ({"meta": kept(value.meta, tensors)} if isinstance(value, MetaTensor) else {})
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [describe(one, tensors) for one in value]}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {"mapping": {key: describe(one, tensors) for key, one in value.items()}}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"no file holds a {type(value).__name__}")


def alone(tensor: torch.Tensor, others: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """A tensor as safetensors takes it: in one piece, and sharing no memory with others."""
    tensor = tensor.contiguous()
    places = {other.untyped_storage().data_ptr() for other in others.values()}
    return tensor.clone() if tensor.untyped_storage().data_ptr() in places else tensor


def kept(meta: Mapping[str, Any], tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Descriptions of those metadata that a file can hold."""
    described = {}
    for name, value in meta.items():
        with contextlib.suppress(TypeError, ValueError):
            described[name] = describe(value, tensors)
    return described


def restore(described: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """What `describe` was given."""
    if not isinstance(described, dict):
        return described
    if "tensor" in described:
        tensor = tensors[described["tensor"]]
        meta = {name: restore(value, tensors) for name, value in described.get("meta", {}).items()}
        return MetaTensor(tensor, meta=meta) if "meta" in described else tensor
    ((kind, parts),) = described.items()
    if kind == "mapping":
        return {key: restore(part, tensors) for key, part in parts.items()}
    values = [restore(part, tensors) for part in parts]
    return tuple(values) if kind == "tuple" else values
