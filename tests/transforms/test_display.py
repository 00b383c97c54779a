from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.losses import normalize_tokens
from monai_mae_ext.networks import patchify, unpatchify
from monai_mae_ext.transforms import (
    BORROWED,
    Displayd,
    RandomMasking,
    TrivialPredictorsd,
    displayable,
    fill_linear,
    fill_mean,
    mask_image,
)

LAYOUTS = {2: ((24, 32), (4, 8)), 3: ((8, 12, 8), (4, 4, 2))}
axes_2_and_3 = pytest.mark.parametrize("axes", [2, 3])
every_borrow = pytest.mark.parametrize("borrow", sorted(BORROWED))


def batch(axes: int, mask_ratio: float = 0.6, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Image, visible, hidden and what a perfect network trained on normalised targets predicts."""
    size, patch = LAYOUTS[axes]
    image = torch.randn(2, 2, *size, generator=torch.Generator().manual_seed(seed)) * 3 + 1
    masking = RandomMasking(patch, mask_ratio).set_random_state(seed)
    visible, hidden = (torch.stack(index) for index in zip(*[masking(one) for one in image], strict=True))
    perfect = unpatchify(normalize_tokens(patchify(image, list(patch))), list(patch), list(size))
    return image, visible, hidden, perfect


def voxels(index: Tensor, axes: int) -> Tensor:
    return mask_image(index, *LAYOUTS[axes]).expand(-1, 2, *[-1] * axes)


@axes_2_and_3
@every_borrow
def test_visible_pixels_are_pasted_exactly(axes, borrow):
    image, visible, hidden, _ = batch(axes)
    out = displayable(torch.randn_like(image), image, visible, hidden, LAYOUTS[axes][1], borrow)
    drawn = voxels(visible, axes)
    assert torch.equal(out[drawn], image[drawn])


@axes_2_and_3
def test_borrowing_nothing_shows_the_raw_predictions(axes):
    image, visible, hidden, prediction = batch(axes)
    out = displayable(prediction, image, visible, hidden, LAYOUTS[axes][1], "nothing")
    assert torch.equal(out, torch.where(voxels(visible, axes), image, prediction))


@axes_2_and_3
def test_borrowing_from_the_hidden_patches_turns_perfect_normalised_predictions_into_the_image(axes):
    image, visible, hidden, perfect = batch(axes)
    out = displayable(perfect, image, visible, hidden, LAYOUTS[axes][1], "hidden")
    torch.testing.assert_close(out, image, atol=1e-4, rtol=1e-5)


@axes_2_and_3
@pytest.mark.parametrize("borrow", ["nothing", "visible"])
def test_no_leak_from_hidden_pixels(axes, borrow):
    image, visible, hidden, prediction = batch(axes)
    painted = torch.where(voxels(hidden, axes), torch.full_like(image, 1e4), image)
    pictures = [displayable(prediction, given, visible, hidden, LAYOUTS[axes][1], borrow) for given in (image, painted)]
    assert torch.equal(*pictures)


def test_borrowing_from_visible_patches_interpolates_mean_and_contrast_linearly():
    """A ramp from patch to patch is recovered where visible patches surround a hidden one."""
    tokens = torch.tensor([-1.0, 1.0]) * torch.arange(1.0, 10)[:, None] + 5 * torch.arange(9.0)[:, None]
    image = unpatchify(tokens[None], [1, 2], [3, 6])
    hidden = torch.tensor([[4]])
    visible = torch.tensor([[0, 1, 2, 3, 5, 6, 7, 8]])
    prediction = unpatchify(normalize_tokens(tokens)[None], [1, 2], [3, 6])
    torch.testing.assert_close(displayable(prediction, image, visible, hidden, (1, 2), "visible"), image)


@pytest.mark.parametrize("seen", [[5], [0, 1], [0, 5, 10], [12, 13, 14, 15]])
def test_few_or_aligned_visible_patches_still_give_a_picture(seen):
    image = torch.rand(1, 1, 8, 8)
    visible = torch.tensor([seen])
    hidden = torch.tensor([[token for token in range(16) if token not in seen]])
    out = displayable(torch.zeros_like(image), image, visible, hidden, 2, "visible")
    assert out.isfinite().all()
    assert out.min() >= 0 and out.max() <= 1


def test_tokens_neither_visible_nor_hidden_are_0():
    image, visible, hidden, prediction = batch(2)
    out = displayable(prediction, image, visible, hidden[:, ::2], LAYOUTS[2][1])
    assert (out[voxels(hidden[:, 1::2], 2)] == 0).all()


def test_an_unknown_lender_is_refused():
    with pytest.raises(UserError, match=r"borrow is one of \['hidden', 'nothing', 'visible'\], not 'truth'"):
        displayable(*batch(2)[:1] * 2, torch.zeros(2, 1), torch.zeros(2, 1), 4, "truth")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-2, 2), st.floats(-2, 2), st.floats(-5, 5))
def test_fill_linear_reproduces_a_ramp_inside_the_hull_of_what_is_visible(seed, slope, other, offset):
    rows, columns = np.meshgrid(np.arange(16), np.arange(24), indexing="ij")
    image = torch.from_numpy(slope * rows + other * columns + offset)[None, None]
    masking = RandomMasking(4, 0.5).set_random_state(seed)
    corners = torch.tensor([0, 5, 18, 23])
    visible = torch.cat([masking(image[0])[0], corners]).unique()[None]
    torch.testing.assert_close(fill_linear(image, visible, 4), image, atol=1e-6, rtol=0)


def test_fill_linear_reproduces_a_ramp_in_a_volume_with_channels():
    rows, columns, slices = torch.meshgrid(*[torch.arange(12.0)] * 3, indexing="ij")
    ramp = rows - 2 * columns + 0.5 * slices
    image = torch.stack([ramp, 3 - ramp])[None]
    visible = torch.tensor([[token for token in range(27) if token not in (4, 13, 16)]])
    torch.testing.assert_close(fill_linear(image, visible, 4), image, atol=1e-4, rtol=0)


def test_a_plane_of_a_volume_in_which_nothing_is_visible_gets_the_mean():
    image = torch.rand(1, 2, 4, 4, 4)
    filled = fill_linear(image, torch.tensor([[0, 2]]), 2)
    seen = image[0, :, :2, :, :2]
    torch.testing.assert_close(filled[0, :, :, :, 2:], seen.mean((1, 2, 3))[:, None, None, None].expand(-1, 4, 4, 2))
    assert torch.equal(filled[0, :, :2, :, :2], seen)


def test_fill_linear_takes_the_nearest_visible_voxel_outside_the_hull():
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    filled = fill_linear(image, torch.tensor([[0]]), 2)[0, 0]
    assert filled.tolist() == [[0, 1, 1, 1], [4, 5, 5, 5], [4, 5, 5, 5], [4, 5, 5, 5]]


@axes_2_and_3
@pytest.mark.parametrize("fill", [fill_mean, fill_linear])
def test_trivial_fills_keep_the_visible_and_never_look_at_the_hidden(axes, fill):
    image, visible, _, _ = batch(axes)
    drawn = voxels(visible, axes)
    kept = image.clone()
    out = fill(image, visible, LAYOUTS[axes][1])
    assert torch.equal(image, kept), "the input was overwritten"
    assert out.shape == image.shape and out.dtype == image.dtype
    assert torch.equal(out[drawn], image[drawn])
    painted = torch.where(drawn, image, torch.full_like(image, 1e6))
    torch.testing.assert_close(fill(painted, visible, LAYOUTS[axes][1]), out, atol=0, rtol=0)


def test_fill_mean_is_the_visible_mean_of_each_channel():
    image = torch.tensor([[1.0, 3.0, 100.0, 100.0], [5.0, 7.0, 100.0, 100.0]])
    filled = fill_mean(torch.stack([image, -image])[None], torch.tensor([[0]]), 2)
    assert filled[0, 0].tolist() == [[1, 3, 4, 4], [5, 7, 4, 4]]
    assert torch.equal(filled[0, 1], -filled[0, 0])


def test_the_post_processing_twins_undo_the_standardisation_and_keep_what_was_there():
    image, visible, hidden, perfect = batch(2)
    label = {"image": (image - 0.5) / 0.2, "visible": visible, "hidden": hidden}
    data = {"pred": perfect, "label": label, "name": "kept"}
    out = TrivialPredictorsd((4, 8))(Displayd((4, 8), "hidden", mean=0.5, std=0.2)(data))
    assert out["name"] == "kept" and set(data) == {"pred", "label", "name"}
    torch.testing.assert_close(out["reference"]["image"], image)
    torch.testing.assert_close(out["reconstruction"], image, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(out["mean_fill"], fill_mean(image, visible, (4, 8)))
    torch.testing.assert_close(out["linear_fill"], fill_linear(image, visible, (4, 8)))


def test_a_token_that_is_visible_and_hidden_shows_the_prediction() -> None:
    image, prediction = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)
    every = torch.arange(4)[None]
    assert torch.equal(displayable(prediction, image, every, every, 4), prediction)
