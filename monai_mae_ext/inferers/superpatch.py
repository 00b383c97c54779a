"""Whole volumes through a network of superpatches, with and without masking."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from monai.inferers import Inferer, sliding_window_inference
from monai.utils import BlendMode, ensure_tuple_rep
from torch import Tensor, nn

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks.tokens import token_grid
from monai_mae_ext.transforms.display import displayable
from monai_mae_ext.transforms.masking import TokenMasking, mask_image

__all__ = ["SuperpatchInferer"]


class SuperpatchInferer(Inferer):
    """Reconstruct whole volumes from overlapping superpatches, blended by a gaussian against the grid's edges.

    Each superpatch is seen twice. Unmasked, the prediction shows how well the network copies. Masked, a voxel is
    predicted by those superpatches that hide it, and only these are blended: no visible voxel lends its truth.

    Args:
        superpatch: the network's image size; one number or one an axis.
        patch_size: token size in voxels.
        masking: how superpatches are masked; None for a network that sees everything, such as an autoencoder.
        borrow: as in ``displayable``.
        overlap: share of a superpatch that its neighbour sees too, in [0, 1).
        batch_size: superpatches at once.
        seed: of the masks; each volume is masked as if it were the first.
        stitch_device: where volumes are put together, for example "cpu" if they do not fit on the input's device.

    Raises:
        UserError: for an overlap out of range.
    """

    def __init__(
        self,
        superpatch: Sequence[int] | int,
        patch_size: Sequence[int] | int,
        masking: TokenMasking | None,
        borrow: str = "nothing",
        overlap: float = 0.25,
        batch_size: int = 4,
        seed: int = 0,
        stitch_device: str | torch.device | None = None,
    ) -> None:
        if not 0 <= overlap < 1:
            raise UserError(f"overlap is in [0, 1), not {overlap}")
        self.superpatch, self.patch_size = superpatch, patch_size
        self.masking, self.borrow, self.seed = masking, borrow, seed
        self.overlap, self.batch_size, self.stitch_device = overlap, batch_size, stitch_device

    def __call__(self, inputs: Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> dict[str, Tensor]:  # type: ignore[override]
        """Reconstruct ``inputs (B, C, *S)``.

        Returns:
            ``unmasked (B, C, *S)``, the reconstruction from all voxels. With masking also ``hidden (B, 1, *S)``, bool,
            the voxels that some superpatch hid, and ``predicted (B, C, *S)``, their values, 0 elsewhere.
        """
        if self.masking is not None:
            self.masking.set_random_state(self.seed)
        blended: dict[str, Tensor] = sliding_window_inference(  # type: ignore[assignment]
            inputs,
            ensure_tuple_rep(self.superpatch, inputs.ndim - 2),
            self.batch_size,
            partial(self.reconstruct, network=network),
            overlap=self.overlap,
            mode=BlendMode.GAUSSIAN,
            sw_device=inputs.device,
            device=self.stitch_device or inputs.device,
        )
        if self.masking is not None:
            share = blended["hidden"]
            blended["hidden"] = share > 0
            blended["predicted"] = torch.where(blended["hidden"], blended["predicted"] / share, 0)
        return blended

    def reconstruct(self, windows: Tensor, network: nn.Module) -> dict[str, Tensor]:
        """What is blended of superpatches ``(B, C, *superpatch)``; ``hidden`` and ``predicted`` apart."""
        size = list(windows.shape[2:])
        n_tokens = torch.Size(token_grid(size, list(ensure_tuple_rep(self.patch_size, len(size))))).numel()
        every = torch.arange(n_tokens, device=windows.device).expand(len(windows), -1)
        show = partial(displayable, image=windows, patch_size=self.patch_size, borrow=self.borrow)
        pictures = {"unmasked": show(network(windows), visible=every, hidden=every)}
        if self.masking is not None:
            masks = [self.masking(window) for window in windows]
            visible, hidden = (torch.stack(indices).to(windows.device) for indices in zip(*masks, strict=True))
            region = mask_image(hidden, size, self.patch_size).float()
            pictures["predicted"] = region * show(network(windows, visible, hidden), visible=visible, hidden=hidden)
            pictures["hidden"] = region
        return pictures
