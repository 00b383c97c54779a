"""The channels of a scan: in one order, whatever the file's, and sometimes hidden."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable
from monai.utils import convert_to_dst_type, ensure_tuple
from torch import Tensor

from monai_mae_ext.data.modalities import modality_name
from monai_mae_ext.errors import UserError

__all__ = ["ArrangeModalitiesd", "CheckGridsd", "NonzeroMaskd", "RandDropModalitiesd"]

logger = logging.getLogger(__name__)


class CheckGridsd(MapTransform):
    """Before a scan's sequences are read from files of their own: do they lie on one grid? Reads headers alone.

    MONAI would stack files of the same size wherever they lie.

    Args:
        keys: items that are lists of NIfTI files; a single path passes.

    Raises:
        UserError: naming the file that lies elsewhere.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        for key in self.key_iterator(dict(data)):
            paths = ensure_tuple(data[key])
            if len(paths) < 2:
                continue
            first, *others = (nib.Nifti1Image.from_filename(path) for path in paths)
            for path, image in zip(paths[1:], others, strict=True):
                if image.shape != first.shape or not np.allclose(image.affine, first.affine, atol=1e-2):
                    raise UserError(f"{path} lies on another grid than {paths[0]}: register and resample it first")
        return dict(data)


class ArrangeModalitiesd(MapTransform):
    """Bring the channels of ``(C, *S)``, as ``mri_datalist`` names them, into an order. What is missing becomes zeros.

    A missing sequence is told in the log, scan by scan. The result is called by the item's ``scan``.

    Args:
        keys: the image, as ``LoadImaged`` leaves it.
        modalities: names of the channels that come out.

    Raises:
        UserError: for an image of another number of channels than the item names, or none that is wanted.
    """

    def __init__(self, keys: KeysCollection, modalities: Sequence[str]) -> None:
        super().__init__(keys)
        self.modalities = [modality_name(name) for name in modalities]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        has, scan = list(out["modalities"]), out["scan"]
        for key in self.key_iterator(out):
            image = out[key]
            if len(image) != len(has):
                raise UserError(f"{scan} has {len(image)} channels, its list names {len(has)}: {', '.join(has)}")
            missing = [name for name in self.modalities if name not in has]
            if len(missing) == len(self.modalities):
                raise UserError(f"{scan} has {', '.join(has)}, none of {', '.join(self.modalities)}: set --modalities")
            if missing:
                logger.warning("%s has no %s: zeros take the place", scan, ", ".join(missing))
            nothing = torch.zeros_like(image[0])
            channels = [nothing if name in missing else image[has.index(name)] for name in self.modalities]
            out[key] = convert_to_dst_type(torch.stack([part.as_subclass(Tensor) for part in channels]), image)[0]
            out[key].meta["filename_or_obj"] = scan
        return out


class NonzeroMaskd(MapTransform):
    """Write where any channel of ``(C, *S)`` is not 0, as uint8 ``(1, *S)``: the brain of a skull-stripped scan.

    Args:
        keys: the image, with background of exactly 0, as ``NormalizeIntensityd`` with ``nonzero`` leaves it.
        mask_key: gets the mask.
    """

    def __init__(self, keys: KeysCollection, mask_key: str = "valid") -> None:
        super().__init__(keys)
        self.mask_key = mask_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            out[self.mask_key] = (out[key] != 0).any(0, keepdim=True).to(torch.uint8)
        return out


class RandDropModalitiesd(Randomizable, MapTransform):
    """Hide whole channels at times: each becomes zeros with a probability, but never all that hold anything.

    So that a network also works where a sequence is missing (modality dropout; Neverova et al., arXiv 1501.00102).

    Args:
        keys: the image ``(C, *S)``.
        drop_prob: of each channel, in [0, 1).
        target_key: gets the image with all its channels, for a network that is to predict the hidden ones too; None for
            a network that need not.
    """

    def __init__(self, keys: KeysCollection, drop_prob: float, target_key: str | None = None) -> None:
        super().__init__(keys)
        if not 0 <= drop_prob < 1:
            raise UserError(f"drop_prob is in [0, 1), not {drop_prob}")
        self.drop_prob, self.target_key = drop_prob, target_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        for key in self.key_iterator(out):
            image = out[key]
            if self.target_key is not None:
                out[self.target_key] = image
            dropped = self.draw([bool(channel.any()) for channel in image])
            if dropped:
                out[key] = image.clone()
                out[key][dropped] = 0
        return out

    def draw(self, filled: Sequence[bool]) -> list[int]:
        """Draw the channels to hide; of those that hold something one stays."""
        draws = self.R.random_sample(len(filled))
        present = [number for number, is_filled in enumerate(filled) if is_filled]
        dropped = [number for number in present if draws[number] < self.drop_prob]
        if dropped and len(dropped) == len(present):
            dropped.remove(max(dropped, key=lambda number: draws[number]))
        return dropped
