"""Masking as a transform: which tokens the encoder sees, and which the decoder must predict.

Every strategy is a ``TokenMasking`` with its own ``rank``: it orders the tokens of a grid, and the base class cuts that
order into ``visible`` and ``hidden`` index tensors of exact lengths, equal for all samples of a grid.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable, Transform
from monai.utils import ensure_tuple_rep
from torch import Tensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks.tokens import token_grid

__all__ = ["PredictAll", "RandomMasking", "RandomMaskingd", "TokenMasking", "mask_image"]


class TokenMasking(Randomizable, Transform):
    """Base of all masking strategies.

    Of ``N`` tokens ``K = max(1, round(N * (1 - mask_ratio)))`` stay visible. Of the others ``M = max(1, round((N - K) *
    decode_ratio))`` are listed as hidden, that is, to be predicted (all of them by default; fewer is "dual masking").

    Args:
        patch_size: token size in voxels; one number or one an axis.
        mask_ratio: share of tokens the encoder does not see, in (0, 1).
        decode_ratio: share of the unseen tokens that are predicted, in (0, 1].

    Raises:
        UserError: if a ratio is out of range.
    """

    def __init__(self, patch_size: Sequence[int] | int, mask_ratio: float = 0.75, decode_ratio: float = 1.0) -> None:
        if not 0 < mask_ratio < 1:
            raise UserError(f"mask_ratio is in (0, 1), not {mask_ratio}")
        if not 0 < decode_ratio <= 1:
            raise UserError(f"decode_ratio is in (0, 1], not {decode_ratio}")
        self.patch_size = patch_size
        self.mask_ratio = mask_ratio
        self.decode_ratio = decode_ratio

    @abstractmethod
    def rank(self, grid: Sequence[int], guide: Tensor | None) -> np.ndarray:
        """Draw an order of the ``prod(grid)`` tokens (a permutation): first the visible, then those to be predicted.

        ``guide``, if there is one, has the image's spatial size, and tells the strategy where to mask.
        """

    def n_visible(self, grid: Sequence[int]) -> int:
        """Number K of visible tokens of a grid."""
        return max(1, round(math.prod(grid) * (1 - self.mask_ratio)))

    def counts(self, grid: Sequence[int]) -> tuple[int, int]:
        """Numbers ``(K, M)`` of visible and of predicted tokens of a grid.

        Raises:
            UserError: if nothing would be hidden, which leaves nothing to learn (the loss of no token is NaN).
        """
        visible, n_tokens = self.n_visible(grid), math.prod(grid)
        if visible == n_tokens:
            raise UserError(f"mask_ratio {self.mask_ratio:g} hides none of {n_tokens} tokens: choose a higher one")
        return visible, max(1, round((n_tokens - visible) * self.decode_ratio))

    def __call__(self, image: Tensor, guide: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Draw a mask for one image.

        Args:
            image: ``(C, *S)``, each side a multiple of the patch.
            guide: ``(1, *S)``, what the strategy goes by, such as a region's mask.

        Returns:
            ``visible (K,)`` and ``hidden (M,)``, int64, each sorted; they share no token.

        Raises:
            UserError: if ``S`` is no multiple of the patch, or so small that nothing would be hidden, or if the guide
                has another size.
        """
        size = list(image.shape[1:])
        if guide is not None and list(guide.shape) != [1, *size]:
            raise UserError(f"a guide of {tuple(guide.shape)} does not fit an image of {size}: it must be {[1, *size]}")
        try:
            grid = token_grid(size, list(ensure_tuple_rep(self.patch_size, len(size))))
        except ValueError as error:
            raise UserError(f"{error}: choose another image_size or patch_size") from error
        order = torch.from_numpy(self.rank(grid, guide))
        visible, predicted = self.counts(grid)
        return order[:visible].sort().values, order[visible : visible + predicted].sort().values


class RandomMasking(TokenMasking):
    """Hide tokens uniformly at random (MAE, arXiv 2111.06377); arguments as in ``TokenMasking``."""

    def rank(self, grid: Sequence[int], guide: Tensor | None) -> np.ndarray:
        return self.R.permutation(math.prod(grid))


class PredictAll(TokenMasking):
    """Any strategy, but all tokens are listed as hidden, those that the encoder sees too.

    A decoder that has learned to give visible tokens back reconstructs unmasked images as an autoencoder does; without,
    it was never asked to. Scores over hidden voxels need the strategy itself.

    Args:
        masking: says what is visible.
    """

    def __init__(self, masking: TokenMasking) -> None:
        super().__init__(masking.patch_size, masking.mask_ratio)
        self.masking = masking

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> PredictAll:
        self.masking.set_random_state(seed, state)
        return self

    def n_visible(self, grid: Sequence[int]) -> int:
        return self.masking.n_visible(grid)

    def rank(self, grid: Sequence[int], guide: Tensor | None) -> np.ndarray:
        return self.masking.rank(grid, guide)

    def __call__(self, image: Tensor, guide: Tensor | None = None) -> tuple[Tensor, Tensor]:
        visible, unseen = super().__call__(image, guide)
        return visible, torch.arange(len(visible) + len(unseen))


class TokenMaskingd(MapTransform, Randomizable):
    """Dictionary twin of any ``TokenMasking``: writes ``visible`` and ``hidden`` beside the image.

    Args:
        keys: the image; one mask is drawn, for the first key.
        masking: the strategy.
        guide_key: its guide, for example the key of a ``ThoraxRegiond`` mask; None for no guide.
        visible_key, hidden_key: where the index tensors go.
    """

    def __init__(
        self,
        keys: KeysCollection,
        masking: TokenMasking,
        guide_key: str | None = None,
        visible_key: str = "visible",
        hidden_key: str = "hidden",
    ) -> None:
        super().__init__(keys)
        self.masking, self.guide_key = masking, guide_key
        self.visible_key, self.hidden_key = visible_key, hidden_key

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> TokenMaskingd:
        self.masking.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        out = dict(data)
        guide = None if self.guide_key is None else out[self.guide_key]
        out[self.visible_key], out[self.hidden_key] = self.masking(out[self.first_key(out)], guide)
        return out


class RandomMaskingd(TokenMaskingd):
    """Dictionary twin of ``RandomMasking``; the masking arguments are its own."""

    def __init__(
        self,
        keys: KeysCollection,
        patch_size: Sequence[int] | int,
        mask_ratio: float = 0.75,
        decode_ratio: float = 1.0,
        visible_key: str = "visible",
        hidden_key: str = "hidden",
    ) -> None:
        masking = RandomMasking(patch_size, mask_ratio, decode_ratio)
        super().__init__(keys, masking, visible_key=visible_key, hidden_key=hidden_key)


def mask_image(index: Tensor, image_size: Sequence[int], patch_size: Sequence[int] | int) -> Tensor:
    """Draw token indices as an image: ``index (B, K)`` gives bool ``(B, 1, *image_size)``, True in those tokens."""
    patch = ensure_tuple_rep(patch_size, len(image_size))
    grid = token_grid(list(image_size), list(patch))
    cells = torch.zeros(len(index), math.prod(grid), dtype=torch.bool, device=index.device).scatter(1, index, True)
    cells = cells.reshape(-1, 1, *grid)
    for axis, side in enumerate(patch):
        cells = cells.repeat_interleave(side, dim=2 + axis)
    return cells
