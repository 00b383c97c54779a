"""Where the thorax is on a chest film: a mask for masking more inside than outside, whatever its source."""

from __future__ import annotations

import logging
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from monai.config import KeysCollection
from monai.data.meta_tensor import MetaTensor
from monai.transforms import KeepLargestConnectedComponent, MapTransform, Transform
from monai.utils import convert_to_tensor, ensure_tuple_rep
from torch import Tensor, nn

from monai_mae_ext.data.radiograph import RADIOGRAPH_SUFFIXES, read_radiograph
from monai_mae_ext.errors import UserError
from monai_mae_ext.transforms.thorax_contour import SIDE, central_box, find_thorax

__all__ = ["ThoraxRegion", "ThoraxRegiond"]

logger = logging.getLogger(__name__)

METHODS = ("classical", "box", "mask_file", "network", "none")
MASK_SUFFIXES = (".png", ".tif", ".tiff")


class ThoraxRegion(Transform):
    """Mask of the thorax on a frontal chest film.

    A film on which no thorax is found gets the central box (.15 to .85 of its height, .12 to .88 of its width).
    ``meta["thorax_region"]`` of the mask tells: "contour", "box", "file", "network", "none", or "fallback: REASON".

    Args:
        method: "classical" for ``find_thorax``: thresholds and the convex hull of the lungs; "box" for the central box;
            "mask_file" for masks made before; "network" for a segmentation network; "none" for an empty mask, so
            that ``RegionMasking`` masks at random: the control arm of an ablation.
        gate: for "classical": Dice coefficient with the central box below which a hull is not believed, in [0, 1].
        mask_dir: for "mask_file": folder of PNG or TIFF masks, 0 outside, each of its film's name but for the suffix.
        network: for "network": maps ``(1, 1, *network_size)`` in [0, 1] to logits ``(1, K, h, w)``. One channel is the
            thorax, or the lungs; of several, the first is the background. The two largest regions are kept.
        network_size: for "network": (height, width) or one number.

    Raises:
        UserError: for an unknown method, a gate out of range, or a missing ``mask_dir`` or ``network``.
    """

    def __init__(
        self,
        method: str = "classical",
        gate: float = 0.5,
        mask_dir: str | os.PathLike | None = None,
        network: nn.Module | None = None,
        network_size: Sequence[int] | int = 256,
    ) -> None:
        if method not in METHODS:
            raise UserError(f"method is one of {', '.join(METHODS)}, not {method!r}")
        if not 0 <= gate <= 1:
            raise UserError(f"gate is in [0, 1], not {gate}")
        if method == "mask_file" and (mask_dir is None or not Path(mask_dir).is_dir()):
            raise UserError(f"method 'mask_file' reads masks from mask_dir, and there is no folder {mask_dir}")
        if method == "network" and network is None:
            raise UserError("method 'network' needs a network: pass a segmentation network with one input channel")
        self.method, self.gate = method, gate
        self.mask_dir = None if mask_dir is None else Path(mask_dir)
        self.network = None if network is None else network.eval()
        self.network_size = ensure_tuple_rep(network_size, 2)
        self.keep_largest = KeepLargestConnectedComponent(num_components=2)

    def __call__(self, image: Tensor) -> MetaTensor:
        """``(C, H, W)``, air dark, of any range, to its mask ``(1, H, W)``, float32 of 0 and 1.

        The mask is on the image's device and has its metadata.

        Raises:
            UserError: for another number of axes, a film without a file name where that is needed, a mask file that
                cannot be read, or a network of another output shape.
        """
        if image.ndim != 3:
            raise UserError(f"a film is (channels, height, width), not of shape {tuple(image.shape)}")
        image = cast(MetaTensor, convert_to_tensor(image, track_meta=True))
        film = image.as_subclass(Tensor).float().mean(0, keepdim=True)
        mask, status = getattr(self, f"from_{self.method}")(film, image.meta.get("filename_or_obj"))
        out = MetaTensor(mask).copy_meta_from(image)
        out.meta["thorax_region"] = status
        return out

    def from_classical(self, film: Tensor, name: str | None) -> tuple[Tensor, str]:
        """Search a copy of the film shrunk to (SIDE, SIDE)."""
        small = resized(film, (SIDE, SIDE))[0].cpu().numpy()
        found, status = find_thorax(small, self.gate)
        return resized(to_mask(found, film), film.shape[1:]).round(), status

    def from_box(self, film: Tensor, name: str | None) -> tuple[Tensor, str]:
        """The central box."""
        return box_of(film), "box"

    def from_mask_file(self, film: Tensor, name: str | None) -> tuple[Tensor, str]:
        """Read the mask of the film ``name``."""
        if name is None:
            raise UserError("method 'mask_file' needs filename_or_obj in the image's metadata: load it with LoadImage")
        stem = stem_of(name)
        for path in (self.mask_dir / f"{stem}{suffix}" for suffix in MASK_SUFFIXES):  # type: ignore[operator]
            if path.is_file():
                mask = to_mask(read_radiograph(path)[0] > 0, film)
                return F.interpolate(mask[None], size=film.shape[1:], mode="nearest-exact")[0], "file"
        return box_of(film), f"fallback: no mask {stem}{MASK_SUFFIXES[0]} in {self.mask_dir}"

    def from_none(self, film: Tensor, name: str | None) -> tuple[Tensor, str]:
        """Nowhere."""
        return torch.zeros_like(film), "none"

    @torch.no_grad()
    def from_network(self, film: Tensor, name: str | None) -> tuple[Tensor, str]:
        """Ask the network."""
        low, high = film.aminmax()
        scaled = (film - low) / (high - low).clamp(min=torch.finfo(film.dtype).tiny)
        network = self.network.to(film.device)  # type: ignore[union-attr]
        logits = network(resized(scaled, self.network_size)[None])
        if not isinstance(logits, Tensor) or logits.ndim != 4 or len(logits) != 1:
            shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise UserError(f"the thorax network must give logits (1, K, height, width), not {shape}")
        inside = logits > 0 if logits.shape[1] == 1 else logits.argmax(1, keepdim=True) > 0
        if not inside.any():
            return box_of(film), "fallback: the network found nothing"
        mask = self.keep_largest(inside[0].as_subclass(Tensor).float())
        return resized(torch.as_tensor(mask).as_subclass(Tensor), film.shape[1:]).round(), "network"


class ThoraxRegiond(MapTransform):
    """Dictionary twin of ``ThoraxRegion``: writes the mask beside the image, and warns once of each film's fallback.

    Args:
        keys: the image.
        mask_key: where the mask goes.
        method, gate, mask_dir, network, network_size: as in ``ThoraxRegion``.
    """

    def __init__(
        self,
        keys: KeysCollection,
        mask_key: str = "thorax",
        method: str = "classical",
        gate: float = 0.5,
        mask_dir: str | os.PathLike | None = None,
        network: nn.Module | None = None,
        network_size: Sequence[int] | int = 256,
    ) -> None:
        super().__init__(keys)
        self.region = ThoraxRegion(method, gate, mask_dir, network, network_size)
        self.mask_key = mask_key
        self.warned: set[str] = set()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        mask = self.region(out[self.first_key(out)])
        name, status = str(mask.meta.get("filename_or_obj", "a film without a name")), mask.meta["thorax_region"]
        if status.startswith("fallback") and name not in self.warned:
            self.warned.add(name)
            logger.warning("%s: the thorax region is the central box (%s)", name, status)
        out[self.mask_key] = mask
        return out


def resized(image: Tensor, size: Sequence[int]) -> Tensor:
    """``(C, H, W)`` to ``(C, *size)``, each pixel the mean of those it covers where the image shrinks."""
    return F.interpolate(image[None], size=tuple(size), mode="bilinear", antialias=True)[0]


def to_mask(found: np.ndarray, film: Tensor) -> Tensor:
    """Bool array (h, w) to a mask ``(1, h, w)`` on the film's device."""
    return torch.as_tensor(found, dtype=torch.float32, device=film.device)[None]


def box_of(film: Tensor) -> Tensor:
    """The central box of a film ``(1, H, W)``."""
    return to_mask(central_box(*film.shape[1:]), film)


def stem_of(name: str) -> str:
    """File name without folder and suffix; the dots of a DICOM name such as 1.2.840.17 are no suffix."""
    path = Path(name)
    return path.stem if path.suffix.lower().lstrip(".") in RADIOGRAPH_SUFFIXES else path.name
