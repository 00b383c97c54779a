from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from monai_mae_ext.losses import MaskedReconstructionLoss
from monai_mae_ext.networks import gather_tokens, patchify, scatter_tokens, token_grid, unpatchify
from monai_mae_ext.transforms import mask_image


@st.composite
def layouts(draw: st.DrawFn) -> tuple[list[int], list[int], list[int], int, int]:
    """Grid, patch and image size, channels and batch, 2-D or 3-D, anisotropic."""
    axes = draw(st.integers(2, 3))
    grid = draw(st.lists(st.integers(1, 4), min_size=axes, max_size=axes))
    patch = draw(st.lists(st.integers(1, 4), min_size=axes, max_size=axes))
    size = [cells * side for cells, side in zip(grid, patch, strict=True)]
    return grid, patch, size, draw(st.integers(1, 4)), draw(st.integers(1, 2))


def numbered(batch: int, channels: int, size: list[int]) -> Tensor:
    """An image in which every voxel has its own value."""
    return torch.arange(batch * channels * math.prod(size), dtype=torch.float64).reshape(batch, channels, *size)


def box(token: int, grid: list[int], patch: list[int]) -> tuple[slice, ...]:
    """Voxels of a token, by row-major index arithmetic of its own."""
    place = []
    for cells in reversed(grid):
        token, cell = divmod(token, cells)
        place.insert(0, cell)
    return tuple(slice(cell * side, (cell + 1) * side) for cell, side in zip(place, patch, strict=True))


@given(layouts())
def test_unpatchify_is_the_exact_inverse_of_patchify(layout):
    grid, patch, size, channels, batch = layout
    image = numbered(batch, channels, size)
    tokens = patchify(image, patch)
    assert token_grid(size, patch) == grid
    assert tokens.shape == (batch, math.prod(grid), channels * math.prod(patch))
    assert torch.equal(unpatchify(tokens, patch, size), image)
    assert torch.equal(patchify(unpatchify(tokens, patch, size), patch), tokens)


@given(layouts(), st.data())
def test_a_token_holds_the_voxels_of_its_box_channel_first(layout, data):
    grid, patch, size, channels, batch = layout
    image = numbered(batch, channels, size)
    token = data.draw(st.integers(0, math.prod(grid) - 1))
    expected = image[(slice(None), slice(None), *box(token, grid, patch))].flatten(1)
    assert torch.equal(patchify(image, patch)[:, token], expected)


@given(layouts(), st.data())
def test_scatter_and_gather_are_inverse(layout, data):
    grid, patch, size, channels, batch = layout
    tokens = patchify(numbered(batch, channels, size) + 1, patch)
    order = data.draw(st.permutations(range(math.prod(grid))))
    index = torch.tensor([order[: data.draw(st.integers(1, len(order)))]]).expand(batch, -1)
    picked = gather_tokens(tokens, index)
    whole = scatter_tokens(picked, index, math.prod(grid))
    assert torch.equal(gather_tokens(whole, index), picked)
    rest = torch.ones(math.prod(grid), dtype=torch.bool)
    rest[index[0]] = False
    assert (whole[:, rest] == 0).all()


def test_gather_takes_each_samples_own_tokens_and_broadcasts_a_shared_table():
    tokens = torch.tensor([[[0.0], [1.0], [2.0]], [[10.0], [11.0], [12.0]]])
    index = torch.tensor([[2, 0], [1, 1]])
    assert gather_tokens(tokens, index)[..., 0].tolist() == [[2, 0], [11, 11]]
    assert gather_tokens(tokens[:1], index)[..., 0].tolist() == [[2, 0], [1, 1]]


def test_scripted_functions_equal_eager_ones():
    image = torch.rand(2, 3, 6, 8, 4)
    patch, size, index = [3, 2, 4], [6, 8, 4], torch.tensor([[7, 0, 3], [1, 2, 4]])
    tokens = torch.jit.script(patchify)(image, patch)
    assert torch.jit.script(token_grid)(size, patch) == [2, 4, 1]
    assert torch.equal(tokens, patchify(image, patch))
    assert torch.equal(torch.jit.script(unpatchify)(tokens, patch, size), image)
    picked = torch.jit.script(gather_tokens)(tokens, index)
    assert torch.equal(picked, gather_tokens(tokens, index))
    assert torch.equal(torch.jit.script(scatter_tokens)(picked, index, 8), scatter_tokens(picked, index, 8))


def test_one_painted_patch_is_the_same_one_everywhere():
    """Identity of a patch: its index, voxels, drawing, place in the loss and place in the reconstruction."""
    grid, patch, size = [2, 4, 3], [4, 2, 3], [8, 8, 9]
    token = (1 * 4 + 2) * 3 + 1
    image = torch.zeros(1, 2, *size)
    image[0, :, 4:8, 4:6, 3:6] = torch.rand(2, 4, 2, 3) + 1

    tokens = patchify(image, patch)
    assert tokens.abs().sum(-1)[0].nonzero().tolist() == [[token]]
    assert torch.equal(mask_image(torch.tensor([[token]]), size, patch)[0, 0], image[0, 0] > 0)

    only = scatter_tokens(gather_tokens(tokens, torch.tensor([[token]])), torch.tensor([[token]]), math.prod(grid))
    assert torch.equal(unpatchify(only, patch, size), image)

    loss = MaskedReconstructionLoss(patch, normalize_targets=False, reduction="none")
    errors = [
        loss(torch.zeros_like(image), {"image": image, "hidden": torch.tensor([[other]])}).item()
        for other in range(math.prod(grid))
    ]
    assert [place for place, error in enumerate(errors) if error > 0] == [token]


@pytest.mark.parametrize(
    ("size", "patch", "words"),
    [
        ([16, 16], [4], "differ in their number of axes"),
        ([16, 18], [4, 4], "not a multiple"),
        ([0, 4], [4, 4], "not a"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(size, patch, words):
    with pytest.raises(ValueError, match=words):
        token_grid(size, patch)


def test_unpatchify_refuses_tokens_that_do_not_fit():
    with pytest.raises(ValueError, match="do not fit an image"):
        unpatchify(torch.zeros(1, 5, 4), [2, 2], [4, 4])
    with pytest.raises(ValueError, match="do not fit an image"):
        unpatchify(torch.zeros(1, 4, 6), [2, 2], [4, 4])
