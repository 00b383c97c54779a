"""Checkpoints of other projects, in the encoder's own key names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from monai_mae_ext.errors import UserError

__all__ = ["Pretrained", "own_names"]

WRAPPERS = ("network", "model", "state_dict")  # keys under which training loops nest a state dict
PREFIXES = ("encoder.", "vit.", "module.")
TIMM = {
    "patch_embed.proj.": "patch_embedding.patch_embeddings.",
    "pos_embed": "patch_embedding.position_embeddings",
    ".attn.proj.": ".attn.out_proj.",
    ".mlp.fc1.": ".mlp.linear1.",
    ".mlp.fc2.": ".mlp.linear2.",
}
KERNELS = "patch_embedding.patch_embeddings.weight", "patch_embedding.patch_embeddings.cells.weight"
TABLE = "patch_embedding.position_embeddings"


class Pretrained(NamedTuple):
    """An encoder's weights under its own names.

    ``grid`` is the token grid of the position table, ``norm_eps`` that of its layer norms, ``attention`` "full" or
    "factorised", ``layout`` what it came as, and ``others`` are the keys beside the encoder, such as a decoder's.
    """

    weights: dict[str, Tensor]
    grid: list[int]
    norm_eps: float
    attention: str
    layout: str
    others: list[str]


def own_names(checkpoint: Mapping[str, Any], facts: Mapping[str, Any] | None = None) -> Pretrained:
    """Recognise a checkpoint's layout and rename its encoder's keys.

    Known are: this project's exported encoders and training checkpoints, MONAI's ``ViT`` and ``UNETR``, timm's
    ``VisionTransformer`` and the original MAE's, each bare or nested under ``model``, ``state_dict`` or ``network``.
    A position that timm adds to its class token becomes a part of the token.

    Args:
        checkpoint: as ``torch.load`` or safetensors returns it.
        facts: the constructor arguments of the network, where known.

    Raises:
        UserError: if no encoder of a known layout is in it.
    """
    facts = facts or checkpoint.get("facts") or {}
    for name in WRAPPERS:
        if isinstance(checkpoint.get(name), Mapping):
            checkpoint = checkpoint[name]
    weights = {key: value for key, value in checkpoint.items() if isinstance(value, Tensor)}
    for prefix in PREFIXES:
        if f"{prefix}{TABLE}" in weights or f"{prefix}pos_embed" in weights:
            others = [key for key in weights if not key.startswith(prefix)]
            weights = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
            break
    else:
        others = []
    is_timm = "patch_embed.proj.weight" in weights
    if is_timm:
        weights = {renamed(key): value for key, value in weights.items()}
    if TABLE not in weights or not any(kernel in weights for kernel in KERNELS):
        raise UserError(
            f"no ViT of this project, MONAI, timm or MAE in it (first key: {next(iter(weights), 'none')}): "
            "give a file with pos_embed or patch_embedding.position_embeddings"
        )
    if is_timm and "cls_token" in weights:
        table = weights[TABLE]
        if not math.isqrt(table.shape[1]) ** 2 == table.shape[1]:  # with a class token's position in front
            weights["cls_token"] = weights["cls_token"] + table[:, :1]
            weights[TABLE] = table[:, 1:]
    others += [key for key in weights if not belongs(key)]
    weights = {key: value for key, value in weights.items() if belongs(key)}
    eps = facts.get("norm_eps", 1e-6 if is_timm else 1e-5)
    attention, layout = facts.get("attention", "full"), "timm or MAE" if is_timm else "MONAI"
    return Pretrained(weights, grid_of(weights, facts), eps, attention, layout, others)


def renamed(key: str) -> str:
    """Return a timm key in the encoder's own words."""
    for theirs, ours in TIMM.items():
        key = key.replace(theirs, ours)
    return key


def belongs(key: str) -> bool:
    """Return whether the encoder has a place for this key."""
    is_part = key.startswith(("patch_embedding.", "blocks.", "norm.")) or key == "cls_token"
    return is_part and ".norm_cross_attn." not in key


def grid_of(weights: Mapping[str, Tensor], facts: Mapping[str, Any]) -> list[int]:
    """Return the token grid of a position table: from the facts, or else equal sides."""
    n_tokens = weights[TABLE].shape[1]
    axes = next(weights[kernel].ndim - 2 for kernel in KERNELS if kernel in weights)
    if {"img_size", "patch_size"} <= facts.keys():
        sizes, patches = (
            value if isinstance(value, list | tuple) else [value] * axes
            for value in (facts["img_size"], facts["patch_size"])
        )
        return [side // patch for side, patch in zip(sizes, patches, strict=True)]
    side = round(n_tokens ** (1 / axes))
    if side**axes != n_tokens:
        raise UserError(f"its {n_tokens} positions are no square grid, and no facts tell its sides: export it again")
    return [side] * axes
