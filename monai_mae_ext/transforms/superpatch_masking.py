"""Dual masking of superpatches: planes and columns of a 3-D token grid, blocks, and what the decoder is asked for.

MAESIL (arXiv 2604.00514) masks a superpatch twice; its text does not say how. Three readings are here, and a fourth
that can be laid over each of them. In all, the number of visible tokens is one for all samples of a grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from monai.utils import ensure_tuple_rep
from torch import Tensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.transforms.masking import TokenMasking

__all__ = ["BlockMasking", "PlaneAxisMasking", "PlaneOrAxisMasking", "RunningCell"]


class DualMasking(TokenMasking):
    """Base of the strategies that mask twice.

    Args:
        patch_size: token size in voxels; one number or one an axis.
        first_ratio, second_ratio: names and values of the two shares that are hidden, each in (0, 1); the second is of
            what the first left.
        decode_ratio: share of the unseen tokens that are predicted, in (0, 1].

    Raises:
        UserError: if a ratio is out of range.
    """

    def __init__(
        self,
        patch_size: Sequence[int] | int,
        first_ratio: tuple[str, float],
        second_ratio: tuple[str, float],
        decode_ratio: float,
    ) -> None:
        for name, ratio in (first_ratio, second_ratio):
            if not 0 < ratio < 1:
                raise UserError(f"{name} is in (0, 1), not {ratio}")
        super().__init__(patch_size, 1 - (1 - first_ratio[1]) * (1 - second_ratio[1]), decode_ratio)

    def with_hidden(self, visible: np.ndarray, n_tokens: int) -> np.ndarray:
        """The visible tokens in front of the others, which come in random order."""
        unseen = np.ones(n_tokens, dtype=bool)
        unseen[visible] = False
        return np.concatenate([visible, self.R.permutation(np.flatnonzero(unseen))])


class PlaneAxisMasking(DualMasking):
    """Hide whole columns along an axis, the same in all its slices, then a further draw in each slice.

    The reading of MAESIL's sibling NEMESIS (arXiv 2604.01612): hidden are ``1 - (1 - plane_ratio) (1 - axis_ratio)`` of
    the tokens, .75 by default. Each slice keeps equally many.

    Args:
        patch_size, decode_ratio: as in ``TokenMasking``.
        plane_ratio: share of the columns that are hidden in all slices.
        axis_ratio: share of the remaining tokens that each slice hides besides.
        axis: spatial axis along which the columns run; the last by default, which is cranial in RAS.

    Raises:
        UserError: if a ratio is out of range.
    """

    def __init__(
        self,
        patch_size: Sequence[int] | int,
        plane_ratio: float = 0.5,
        axis_ratio: float = 0.5,
        axis: int = -1,
        decode_ratio: float = 1.0,
    ) -> None:
        super().__init__(patch_size, ("plane_ratio", plane_ratio), ("axis_ratio", axis_ratio), decode_ratio)
        self.plane_ratio, self.axis_ratio, self.axis = plane_ratio, axis_ratio, axis

    def shares(self, grid: Sequence[int]) -> tuple[int, int, int]:
        """Slices, columns that are kept, and tokens that each slice keeps of them."""
        slices = grid[self.axis]
        columns = max(1, round(math.prod(grid) // slices * (1 - self.plane_ratio)))
        return slices, columns, max(1, round(columns * (1 - self.axis_ratio)))

    def n_visible(self, grid: Sequence[int]) -> int:
        slices, _, kept = self.shares(grid)
        return slices * kept

    def rank(self, grid: Sequence[int], guide: Tensor | None) -> np.ndarray:
        slices, columns, kept = self.shares(grid)
        tokens = slices_of(grid, self.axis)
        chosen = self.R.permutation(tokens.shape[1])[:columns]
        visible = [tokens[number, self.R.permutation(chosen)[:kept]] for number in range(slices)]
        return self.with_hidden(np.concatenate(visible), math.prod(grid))


class PlaneOrAxisMasking(PlaneAxisMasking):
    """Hide whole columns along an axis, and whole slices across it: what is seen is a smaller grid.

    MAESIL's words taken literally. Factorised attention (within slices, then along columns) is exact here. Arguments as
    in ``PlaneAxisMasking``, but that ``axis_ratio`` is the share of hidden slices.
    """

    def shares(self, grid: Sequence[int]) -> tuple[int, int, int]:
        """Slices that are kept, and (twice) columns."""
        slices = max(1, round(grid[self.axis] * (1 - self.axis_ratio)))
        columns = max(1, round(math.prod(grid) // grid[self.axis] * (1 - self.plane_ratio)))
        return slices, columns, columns

    def rank(self, grid: Sequence[int], guide: Tensor | None) -> np.ndarray:
        slices, columns, _ = self.shares(grid)
        tokens = slices_of(grid, self.axis)
        chosen = (self.R.permutation(side)[:kept] for side, kept in zip(tokens.shape, (slices, columns), strict=True))
        return self.with_hidden(tokens[np.ix_(*chosen)].ravel(), math.prod(grid))


class BlockMasking(DualMasking):
    """Hide coarse blocks of tokens, then single tokens of the others.

    Args:
        patch_size, decode_ratio: as in ``TokenMasking``.
        block: side of a block in tokens; those at the grid's end may be smaller.
        block_ratio: share of the grid hidden by blocks.
        token_ratio: share of the remaining tokens that are hidden besides.

    Raises:
        UserError: if a ratio is out of range, or the block has no token.
    """

    def __init__(
        self,
        patch_size: Sequence[int] | int,
        block: Sequence[int] | int = 4,
        block_ratio: float = 0.5,
        token_ratio: float = 0.5,
        decode_ratio: float = 1.0,
    ) -> None:
        super().__init__(patch_size, ("block_ratio", block_ratio), ("token_ratio", token_ratio), decode_ratio)
        if np.min(block) < 1:
            raise UserError(f"block is at least 1 token, not {block}")
        self.block, self.block_ratio = block, block_ratio

    def rank(self, grid: Sequence[int], guide: Tensor | None) -> np.ndarray:
        sides = ensure_tuple_rep(self.block, len(grid))
        cells = np.indices(grid).reshape(len(grid), -1) // np.array(sides)[:, None]
        of_block = np.ravel_multi_index(cells, [-(-cell // side) for cell, side in zip(grid, sides, strict=True)])  # type: ignore[call-overload]
        turn = self.R.permutation(of_block.max() + 1)[of_block]
        # Blocks stay, one after the other, until they hold their share of the grid (or all that is to be seen).
        held = np.cumsum(np.bincount(turn))
        wanted = max(self.n_visible(grid), math.prod(grid) * (1 - self.block_ratio))
        kept = np.flatnonzero(turn <= np.searchsorted(held, wanted - 0.5))
        return self.with_hidden(self.R.permutation(kept)[: self.n_visible(grid)], math.prod(grid))


class RunningCell(TokenMasking):
    """Any strategy, its decoder asked for a running cell of the unseen tokens (VideoMAE V2, arXiv 2303.16727, 3.2).

    Each slice is tiled by cells of 2 x 2 tokens. The nearest quarter, half, three quarters or whole of a cell to the
    strategy's ``decode_ratio`` is predicted, and its place goes round from slice to slice. As many tokens are predicted
    as without: those of the cells that the encoder sees are replaced by others.

    Args:
        masking: says what is visible.
        axis: spatial axis across the slices.

    Raises:
        UserError: when called with an image that is no volume.
    """

    def __init__(self, masking: TokenMasking, axis: int = -1) -> None:
        super().__init__(masking.patch_size, masking.mask_ratio, masking.decode_ratio)
        self.masking, self.axis = masking, axis

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RunningCell:
        super().set_random_state(seed, state)
        self.masking.set_random_state(seed, state)
        return self

    def n_visible(self, grid: Sequence[int]) -> int:
        return self.masking.n_visible(grid)

    def rank(self, grid: Sequence[int], guide: Tensor | None) -> np.ndarray:
        order = self.masking.rank(grid, guide)
        visible, unseen = np.split(order, [self.n_visible(grid)])
        asked = self.cells(grid)[unseen]
        return np.concatenate([visible, unseen[asked], unseen[~asked]])

    def cells(self, grid: Sequence[int]) -> np.ndarray:
        """Whether each token is in the running cell: bool ``(N,)``; the first slice's place is drawn."""
        if len(grid) != 3:
            raise UserError(
                f"a running cell runs through the slices of a volume: not for a grid of {list(grid)} tokens"
            )
        along = self.axis % 3
        number, row, column = (np.indices(grid)[axis].ravel() for axis in (along, *({0, 1, 2} - {along})))
        clockwise = np.where(row % 2, 3 - column % 2, column % 2)
        width = max(1, round(4 * self.decode_ratio))
        return (clockwise - number + self.R.randint(4)) % 4 < width


def slices_of(grid: Sequence[int], axis: int) -> np.ndarray:
    """Token indices ``(slices, tokens of a slice)``, the slices across a spatial axis."""
    tokens = np.arange(math.prod(grid)).reshape(grid)
    return np.moveaxis(tokens, axis, 0).reshape(grid[axis], -1)
