"""Masking more inside a region than outside (context-aware masking)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from monai.utils import ensure_tuple_rep
from torch import Tensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.transforms.masking import TokenMasking

__all__ = ["RegionMasking"]

INSIDE_FROM = 0.5  # a token is inside where the region covers at least half of it


class RegionMasking(TokenMasking):
    """Hide more of the tokens inside a region than of those outside (HD X-ray MAE, arXiv 2404.17926).

    The paper masks 95 % inside the chest and 85 % outside. Counts per region would differ from image to image; here the
    number of visible tokens is one for all images, whatever their regions, and also that of ``RandomMasking`` at the
    same ``mask_ratio``: tokens are drawn without replacement, with weights ``1 - inside_ratio`` and ``1 -
    outside_ratio`` (Efraimidis and Spirakis, 2006: the largest ``u ** (1 / weight)``). A region of the area that
    ``reference_area`` tells is then masked in nearly the two ratios; of a larger one more is seen, since the count is
    fixed. Without a guide, or where a region covers everything or nothing, this is plain random masking.

    Args:
        patch_size: token size in pixels; one number or one an axis.
        inside_ratio, outside_ratio: shares that are hidden, in (0, 1).
        reference_area: the region's usual share of the image, which sets ``mask_ratio`` (to .8825 by default: the
            region of the code released with the paper covers .325).
        decode_ratio: share of the unseen tokens that are predicted, in (0, 1].

    Attributes:
        strength: 0 for plain random masking .. 1 for the full contrast between the two regions; ``MaskingRamp`` raises
            it over the epochs. It does not change the counts.

    Raises:
        UserError: if a ratio is out of range.
    """

    def __init__(
        self,
        patch_size: Sequence[int] | int,
        inside_ratio: float = 0.95,
        outside_ratio: float = 0.85,
        reference_area: float = 0.325,
        decode_ratio: float = 1.0,
    ) -> None:
        for name, share in (("inside_ratio", inside_ratio), ("outside_ratio", outside_ratio)):
            if not 0 < share < 1:
                raise UserError(f"{name} is in (0, 1), not {share}")
        if not 0 <= reference_area <= 1:
            raise UserError(f"reference_area is in [0, 1], not {reference_area}")
        mask_ratio = reference_area * inside_ratio + (1 - reference_area) * outside_ratio
        super().__init__(patch_size, mask_ratio, decode_ratio)
        self.inside_ratio, self.outside_ratio = inside_ratio, outside_ratio
        self.strength = 1.0

    def rank(self, grid: Sequence[int], guide: Tensor | None) -> np.ndarray:
        """Order the tokens by weighted draws without replacement.

        The order of the hidden tokens matters too: with ``decode_ratio`` below 1 its first are predicted. They are
        drawn uniformly, so that both regions are learned alike.
        """
        n_tokens = math.prod(grid)
        order = self.R.permutation(n_tokens)
        if guide is None:
            return order
        inside = self.inside_tokens(guide, grid)[order]
        log_keys = np.log(self.R.uniform(np.finfo(float).tiny, 1, n_tokens)) / np.where(inside, *self.weights())
        visible = self.n_visible(grid)
        seen = np.zeros(n_tokens, dtype=bool)
        seen[np.argsort(-log_keys)[:visible]] = True
        return np.concatenate([order[seen], order[~seen]])

    def weights(self) -> tuple[float, float]:
        """Weights of drawing a token inside and outside; geometric between equal and full strength."""
        return (1 - self.inside_ratio) ** self.strength, (1 - self.outside_ratio) ** self.strength

    def inside_tokens(self, guide: Tensor, grid: Sequence[int]) -> np.ndarray:
        """Whether each token lies inside the region: bool ``(N,)`` from a mask ``(1, *S)`` of 0 and 1."""
        pool = F.avg_pool2d if len(grid) == 2 else F.avg_pool3d
        patch = ensure_tuple_rep(self.patch_size, len(grid))
        cover = pool(guide.as_subclass(Tensor)[None].float(), patch)
        return (cover >= INSIDE_FROM - torch.finfo(cover.dtype).eps).flatten().cpu().numpy()
