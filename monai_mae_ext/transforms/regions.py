"""Regions of labels that lie in one another, such as those of a brain tumour, and back."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RemoveSmallObjects
from monai.utils import convert_to_dst_type
from torch import Tensor

from monai_mae_ext.errors import UserError

__all__ = [
    "LabelsToRegionsd",
    "Regions",
    "class_regions",
    "clean_regions",
    "labels_of_regions",
    "region_mask",
    "tumor_label_names",
    "tumor_regions",
]

Regions = Mapping[str, Sequence[int]]
"""Name of each region and the labels that belong to it."""
SCHEMES: dict[str, Regions] = {
    "msd": {"whole tumor": (1, 2, 3), "tumor core": (2, 3), "enhancing tumor": (3,)},
    "brats": {"whole tumor": (1, 2, 4), "tumor core": (1, 4), "enhancing tumor": (4,)},
    "brats2023": {"whole tumor": (1, 2, 3), "tumor core": (1, 3), "enhancing tumor": (3,)},
}
"""How data sets number the parts of a glioma. msd, the Decathlon's Task01: 1 oedema, 2 core that does not enhance, 3
enhancing. brats, up to 2021: 1 core, 2 oedema, 4 enhancing. brats2023: as brats with 3 instead of 4."""
LABEL_NAMES: dict[str, Sequence[str]] = {
    "msd": ("background", "edema", "non-enhancing tumor", "enhancing tumor"),
    "brats": ("background", "necrotic or non-enhancing core", "edema", "no label", "enhancing tumor"),
    "brats2023": ("background", "necrotic or non-enhancing core", "edema", "enhancing tumor"),
}


def class_regions(names: Sequence[str]) -> Regions:
    """Return a region for each class but the background, which is the first: classes that do not overlap."""
    return {name: (number,) for number, name in enumerate(names) if number}


def tumor_regions(scheme: str) -> Regions:
    """Return the regions WT, TC and ET of a numbering: "msd", "brats" (to 2021) or "brats2023"."""
    check_scheme(scheme)
    return SCHEMES[scheme]


def tumor_label_names(scheme: str) -> Sequence[str]:
    """Return the names of a numbering's labels, from 0 on."""
    check_scheme(scheme)
    return LABEL_NAMES[scheme]


def check_scheme(scheme: str) -> None:
    if scheme not in SCHEMES:
        raise UserError(f"scheme is one of {', '.join(SCHEMES)}, not {scheme!r}")


def region_mask(labels: Tensor, members: Sequence[int]) -> Tensor:
    """Where ``labels`` are among the members of a region, bool."""
    return torch.isin(labels, torch.tensor(list(members), device=labels.device))


def own_labels(regions: Regions) -> list[int]:
    """The label of each region that no region inside it has.

    Raises:
        UserError: where that is not exactly one label, so that masks could not be written as labels.
    """
    sets = {name: set(members) for name, members in regions.items()}
    own = []
    for name, members in sets.items():
        rest = members.difference(*(other for other in sets.values() if other < members))
        if len(rest) != 1:
            raise UserError(f"region {name!r} needs one label that no smaller region has, it has {sorted(rest)}")
        own.append(rest.pop())
    return own


def labels_of_regions(masks: Tensor, regions: Regions) -> Tensor:
    """Labels, uint8 ``(*S)``, of masks ``(R, *S)``: small regions are painted over large ones."""
    labels = torch.zeros(masks.shape[1:], dtype=torch.uint8, device=masks.device)
    painted = zip(regions.values(), own_labels(regions), masks.bool(), strict=True)
    for _, label, mask in sorted(painted, key=lambda paint: -len(paint[0])):
        labels[mask] = label
    return labels


def clean_regions(
    masks: Tensor,
    regions: Regions,
    voxel_ml: float,
    min_part_ml: float = 0.0,
    min_ml: Mapping[str, float] | None = None,
) -> Tensor:
    """Take off small parts of each region, and regions that are small in all (few voxels of enhancing tumour are more
    often noise than tumour).

    Args:
        masks: bool ``(R, *S)``.
        regions: their names.
        voxel_ml: volume of a voxel in millilitres.
        min_part_ml: connected parts (by faces, edges or corners) of less are taken off.
        min_ml: least volume of regions, by name; one with less is emptied.

    Raises:
        UserError: for a name that is no region.
    """
    min_ml = min_ml or {}
    if unknown := set(min_ml) - set(regions):
        raise UserError(f"no region is called {', '.join(sorted(unknown))}: they are {', '.join(regions)}")
    remove = RemoveSmallObjects(math.ceil(min_part_ml / voxel_ml), connectivity=masks.ndim)
    cleaned = []
    for name, mask in zip(regions, masks.bool(), strict=True):
        mask = remove(mask[None])[0].bool() if min_part_ml else mask
        cleaned.append(mask & (mask.sum() * voxel_ml >= min_ml.get(name, 0.0)))
    return torch.stack(cleaned)


class LabelsToRegionsd(MapTransform):
    """Turn labels ``(1, *S)`` into one channel for each region, float32 ``(R, *S)`` as losses want them.

    Args:
        keys: the labels.
        regions: as ``tumor_regions`` returns them, or any other.

    Raises:
        UserError: for labels that no region has: another numbering, most likely.
    """

    def __init__(self, keys: KeysCollection, regions: Regions) -> None:
        super().__init__(keys)
        self.regions = regions

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            labels = out[key]
            known = {0}.union(*self.regions.values())
            if strange := set(labels.as_subclass(Tensor).unique().int().tolist()) - known:
                raise UserError(
                    f"{out.get('scan', key)} has label {min(strange)}, the regions know {sorted(known)}: choose "
                    "another --scheme, or --regions of your own"
                )
            plain = labels.as_subclass(Tensor)[0].int()
            masks = torch.stack([region_mask(plain, members) for members in self.regions.values()])
            out[key] = convert_to_dst_type(masks, labels, dtype=torch.float32)[0]
        return out
