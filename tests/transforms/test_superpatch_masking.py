from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from monai_mae_ext.errors import UserError
from monai_mae_ext.transforms import (
    BlockMasking,
    PlaneAxisMasking,
    PlaneOrAxisMasking,
    RandomMasking,
    RunningCell,
    mask_image,
)

grids = st.tuples(*[st.integers(2, 9)] * 3)
ratios = st.floats(0.1, 0.9)
axes = st.integers(-3, 2)


def draw(masking, grid, seed=0):
    """Visible and hidden tokens as bool grids."""
    index = masking.set_random_state(seed)(torch.zeros(1, *grid))
    return [mask_image(part[None], grid, 1)[0, 0].numpy() for part in index]


def strategies(first, second, axis):
    return [
        PlaneAxisMasking(1, first, second, axis),
        PlaneOrAxisMasking(1, first, second, axis),
        BlockMasking(1, 2, first, second),
        RunningCell(PlaneAxisMasking(1, first, second, axis, decode_ratio=0.5), axis),
    ]


@given(grids, ratios, ratios, axes)
def test_counts_are_equal_for_all_samples_and_visible_and_hidden_are_disjoint(grid, first, second, axis):
    for masking in strategies(first, second, axis):
        if masking.n_visible(grid) == math.prod(grid):
            with pytest.raises(UserError, match="hides none of"):
                masking(torch.zeros(1, *grid))
            continue
        visible, predicted = masking.counts(grid)
        for seed in (0, 1):
            seen, asked = draw(masking, grid, seed)
            assert (seen.sum(), asked.sum()) == (visible, predicted)
            assert not (seen & asked).any()


@given(grids, ratios, ratios, axes)
def test_plane_axis_shares_its_columns_and_keeps_equally_many_in_each_slice(grid, first, second, axis):
    masking = PlaneAxisMasking(1, first, second, axis)
    slices, columns, kept = masking.shares(grid)
    if slices * kept == math.prod(grid):
        return
    seen = np.moveaxis(draw(masking, grid)[0], axis, 0)
    assert seen.shape[0] == slices and (seen.sum((1, 2)) == kept).all()
    assert seen.any(0).sum() <= columns


@given(grids, ratios, ratios, axes)
def test_plane_or_axis_leaves_a_smaller_grid(grid, first, second, axis):
    masking = PlaneOrAxisMasking(1, first, second, axis)
    slices, columns, _ = masking.shares(grid)
    if slices * columns == math.prod(grid):
        return
    seen = np.moveaxis(draw(masking, grid)[0], axis, 0)
    assert np.array_equal(seen, seen.any((1, 2))[:, None, None] & seen.any(0)[None])
    assert seen.any((1, 2)).sum() == slices and seen.any(0).sum() == columns


@pytest.mark.parametrize(("ratio", "visible"), [(0.25, 2304), (0.5, 1024), (0.75, 256)])
def test_ratios_of_a_superpatch_of_128_voxels(ratio, visible):
    for masking in strategies(ratio, ratio, -1)[:3]:
        assert masking.counts((16, 16, 16)) == (visible, 4096 - visible)
        assert masking.mask_ratio == pytest.approx(1 - visible / 4096)


def test_without_a_second_draw_every_slice_shows_the_same_columns():
    seen, _ = draw(PlaneAxisMasking(1, 0.5, 1e-9), (4, 6, 5))
    assert (seen == seen[..., :1]).all() and seen[..., 0].sum() == 12


def test_slices_of_plane_axis_differ_and_every_token_is_seen_equally_often():
    masking = PlaneAxisMasking(1, 0.5, 0.5, axis=0)
    seen = np.stack([draw(masking, (3, 4, 4), seed)[0] for seed in range(2000)])
    assert (seen[:, 0] != seen[:, 1]).any()
    share = seen.mean(0)
    assert np.abs(share - 0.25).max() < 5 * math.sqrt(0.25 * 0.75 / 2000)


def test_blocks_hide_whole_blocks_and_the_rest_is_drawn_from_the_others():
    seen, _ = draw(BlockMasking(1, 4, 0.5, 0.5), (8, 8, 8))
    blocks = seen.reshape(2, 4, 2, 4, 2, 4).sum((1, 3, 5))
    assert (blocks > 0).sum() == 4 and seen.sum() == 128


def test_smaller_blocks_at_the_end_of_the_grid_leave_enough_to_see():
    masking = BlockMasking(1, 4, 0.9, 0.1)
    counts = {int(draw(masking, (5, 7, 6), seed)[0].sum()) for seed in range(50)}
    assert counts == {round(210 * 0.1 * 0.9)}


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_running_cell_is_predicted_first_and_goes_round(axis):
    masking = RunningCell(RandomMasking(1, 0.9, decode_ratio=0.5), axis).set_random_state(0)
    cells = np.moveaxis(masking.cells((8, 8, 8)).reshape(8, 8, 8), axis, 0)
    quads = cells.reshape(8, 4, 2, 4, 2).sum((2, 4))
    assert (quads == 2).all(), "half of every cell"
    assert not np.array_equal(cells[0], cells[1]) and np.array_equal(cells[0], cells[4])
    assert (cells[:4].sum(0) == 2).all(), "in four slices every place is asked for equally often"
    _, asked = draw(masking, (8, 8, 8))
    masking.set_random_state(0)
    masking.masking.rank((8, 8, 8), None)
    wanted = masking.cells((8, 8, 8)).reshape(8, 8, 8)
    assert (asked & wanted).sum() > 0.9 * asked.sum()


def test_a_running_cell_changes_nothing_of_what_is_visible():
    plain, running = (PlaneAxisMasking(1, decode_ratio=0.5) for _ in range(2))
    grid = (4, 4, 4)
    assert np.array_equal(draw(plain, grid, 3)[0], draw(RunningCell(running), grid, 3)[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PlaneAxisMasking(8, plane_ratio=0), "plane_ratio is in"),
        (lambda: PlaneOrAxisMasking(8, axis_ratio=1), "axis_ratio is in"),
        (lambda: BlockMasking(8, block_ratio=1.5), "block_ratio is in"),
        (lambda: BlockMasking(8, block=0), "block is at least 1"),
        (lambda: RunningCell(RandomMasking(8))(torch.zeros(1, 16, 16)), "running cell runs through the slices"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()
