"""Moving a pre-trained encoder's weights into another network, with a report of what became of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks.encoder import MaskedEncoder
from monai_mae_ext.networks.foreign import KERNELS, TABLE, Pretrained

__all__ = ["TransferReport", "resize_positions", "transfer_encoder"]

CURE = "give network_def the num_layers, qkv_bias and stem it was trained with"


class TransferReport(NamedTuple):
    """What became of the weights: ``fates`` maps each key to (fate, detail); ``notes`` are warnings.

    Fates: ``loaded`` as it was, ``adapted`` to other channels, ``interpolated`` to another grid, ``fresh`` (the network
    has it, the source has not), ``unused`` (the source has it, the network has not).
    """

    layout: str
    fates: dict[str, tuple[str, str]]
    notes: list[str]

    def __str__(self) -> str:
        counts = Counter(fate for fate, _ in self.fates.values())
        lines = [f"{self.layout} layout: " + ", ".join(f"{number} {fate}" for fate, number in counts.items())]
        lines += [
            f"  {fate:<12}  {key}  {detail}".rstrip()
            for key, (fate, detail) in self.fates.items()
            if fate not in ("loaded", "unused")
        ]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def transfer_encoder(encoder: MaskedEncoder, source: Pretrained) -> TransferReport:
    """Copy weights into ``encoder``, adapting channels and positions where they differ.

    A kernel for other channels becomes the mean over the source's channels, scaled so that equal channels give what
    they gave before: from RGB to grey it is the sum, from 1 to 4 channels a quarter each. Positions are interpolated to
    the encoder's grid, fixed sin-cos tables too, since the encoder has learned to read the source's range. Nothing is
    copied unless all of it fits.

    Raises:
        UserError: if widths, depth, patch size or the number of axes differ.
    """
    if len(source.grid) != len(encoder.grid):
        raise UserError(f"it is for {len(source.grid)}-D images, the network for {len(encoder.grid)}-D ones")
    own, values, fates = encoder.state_dict(), {}, {}
    for key, target in own.items():
        if key in source.weights:
            values[key], fates[key] = fit(key, source.weights[key], target, source.grid, encoder.grid)
        elif key == "cls_token":
            fates[key] = ("fresh", "")
        else:
            raise UserError(f"it has no {key}: {CURE}")
    unused = [key for key in source.weights if key not in own]
    if left := [key for key in unused if key != "cls_token"]:
        raise UserError(f"its {left[0]} has no place: {CURE}")
    fates |= dict.fromkeys([*unused, *source.others], ("unused", ""))
    encoder.load_state_dict(own | values)
    notes = []
    if encoder.norm.eps != source.norm_eps:
        notes.append(
            f"its layer norms have eps {source.norm_eps:g}, here {encoder.norm.eps:g}: set network_def#norm_eps"
        )
    if (source.attention == "factorised") != encoder.factorised:
        notes.append(f"it was trained with {source.attention} attention: set network_def#attention")
    return TransferReport(source.layout, fates, notes)


def fit(
    key: str, value: Tensor, target: Tensor, source_grid: Sequence[int], grid: Sequence[int]
) -> tuple[Tensor, tuple[str, str]]:
    """Bring one tensor into the shape of its place; return it with its fate."""
    fate = ("loaded", "")
    if key in KERNELS and value.shape[2:] == target.shape[2:] and value.shape[1] != target.shape[1]:
        fate = ("adapted", f"{value.shape[1]} -> {target.shape[1]} channels")
        value = value.sum(dim=1, keepdim=True).expand_as(target) / target.shape[1]
    elif key == TABLE and list(source_grid) != list(grid):
        fate = ("interpolated", f"{'x'.join(map(str, source_grid))} -> {'x'.join(map(str, grid))} tokens")
        value = resize_positions(value, source_grid, grid)
    if value.shape != target.shape:
        raise UserError(
            f"{key} is {tuple(value.shape)} there and {tuple(target.shape)} here: give network_def the sizes it was "
            "trained with"
        )
    return value, fate


def resize_positions(table: Tensor, source_grid: Sequence[int], grid: Sequence[int]) -> Tensor:
    """Interpolate a position table ``(1, prod(source_grid), D)`` to ``(1, prod(grid), D)``, 2-D (bicubic) or 3-D."""
    image = table.transpose(1, 2).reshape(1, -1, *source_grid).float()
    mode = "bicubic" if len(grid) == 2 else "trilinear"
    image = F.interpolate(image, size=list(grid), mode=mode, align_corners=False)
    return image.flatten(2).transpose(1, 2).to(table.dtype)
