from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import CacheDataset, DataLoader, MetaTensor
from monai.transforms import Compose, EnsureTyped

from monai_mae_ext.errors import UserError
from monai_mae_ext.transforms import PredictAll, RandomMasking, RandomMaskingd, TokenMasking, TokenMaskingd, mask_image

grids = st.lists(st.integers(1, 6), min_size=2, max_size=3)


@given(grids, st.floats(0.01, 0.99), st.floats(0.01, 1.0))
def test_counts_follow_the_documented_formula(grid, mask_ratio, decode_ratio):
    masking = RandomMasking(2, mask_ratio, decode_ratio)
    tokens = math.prod(grid)
    expected = max(1, round(tokens * (1 - mask_ratio)))
    image = torch.zeros(1, *[2 * cells for cells in grid])
    if expected == tokens:
        with pytest.raises(UserError, match=f"hides none of {tokens} tokens"):
            masking(image)
        return
    visible, hidden = masking(image)
    assert visible.dtype == hidden.dtype == torch.int64
    assert len(visible) == expected
    assert len(hidden) == max(1, round((tokens - expected) * decode_ratio))
    assert visible.tolist() == sorted(set(visible.tolist()))
    assert hidden.tolist() == sorted(set(hidden.tolist()))
    assert not set(visible.tolist()) & set(hidden.tolist())
    assert set(visible.tolist()) | set(hidden.tolist()) <= set(range(tokens))


def test_decode_ratio_1_hides_everything_that_is_not_visible():
    visible, hidden = RandomMasking((4, 2), 0.6)(torch.zeros(3, 16, 8))
    assert sorted(visible.tolist() + hidden.tolist()) == list(range(16))
    assert len(visible) == 6


def test_a_seed_gives_the_same_masks_and_samples_differ():
    image = torch.zeros(1, 64, 64)
    draws = [[RandomMasking(8).set_random_state(7)(image)[0].tolist() for _ in range(2)] for _ in range(2)]
    masking = RandomMasking(8).set_random_state(7)
    assert draws[0] == draws[1]
    assert masking(image)[0].tolist() == draws[0][0]
    assert masking(image)[0].tolist() != draws[0][0]


def test_every_token_is_visible_equally_often():
    masking = RandomMasking(1, 0.75).set_random_state(0)
    draws = 4000
    seen = np.zeros(16)
    for _ in range(draws):
        visible, _ = masking(torch.zeros(1, 4, 4))
        seen[visible] += 1
    deviation = math.sqrt(0.25 * 0.75 / draws)
    assert np.abs(seen / draws - 0.25).max() < 4.5 * deviation


def test_the_dual_mask_is_drawn_uniformly_from_what_is_not_visible():
    masking = RandomMasking(1, 0.75, 0.5).set_random_state(0)
    draws = 3000
    chosen = np.zeros(16)
    for _ in range(draws):
        chosen[masking(torch.zeros(1, 4, 4))[1]] += 1
    probability = 6 / 16
    assert np.abs(chosen / draws - probability).max() < 4.5 * math.sqrt(probability * (1 - probability) / draws)


def test_the_dictionary_twin_draws_what_the_array_transform_draws():
    image = torch.rand(1, 32, 16)
    visible, hidden = RandomMasking((8, 4), 0.5).set_random_state(3)(image)
    data = {"image": image, "name": "a"}
    out = RandomMaskingd("image", (8, 4), 0.5).set_random_state(3)(data)
    assert torch.equal(out["visible"], visible) and torch.equal(out["hidden"], hidden)
    assert out["image"] is image and out["name"] == "a"
    assert set(data) == {"image", "name"}
    renamed = TokenMaskingd("image", RandomMasking(8), visible_key="v", hidden_key="h")({"image": image})
    assert set(renamed) == {"image", "v", "h"}


def test_compose_seeds_it():
    def draw(seed: int) -> list[int]:
        pipeline = Compose([EnsureTyped("image"), RandomMaskingd("image", 4)]).set_random_state(seed)
        return pipeline({"image": torch.zeros(1, 32, 32)})["visible"].tolist()

    assert draw(1) == draw(1) != draw(2)


def test_a_cache_keeps_the_image_but_draws_masks_anew_and_batches_have_equal_counts():
    pipeline = Compose([EnsureTyped("image"), RandomMaskingd("image", 4)])
    dataset = CacheDataset([{"image": torch.rand(1, 32, 32)} for _ in range(4)], pipeline, progress=False)
    assert dataset[0]["visible"].tolist() != dataset[0]["visible"].tolist()
    batch = next(iter(DataLoader(dataset, batch_size=4, num_workers=0)))
    assert batch["visible"].shape == (4, 16) and batch["hidden"].shape == (4, 48)
    assert len({tuple(row.tolist()) for row in batch["visible"]}) == 4


def test_indices_of_a_metadata_image_are_plain_tensors():
    for index in RandomMasking(4)(MetaTensor(torch.zeros(1, 16, 16))):
        assert type(index) is torch.Tensor


def test_a_strategy_is_one_method():
    class FirstSeen(TokenMasking):
        """Shows the first tokens."""

        def rank(self, grid, guide):
            return np.arange(math.prod(grid))

    visible, hidden = FirstSeen(2, 0.5, 0.5)(torch.zeros(1, 4, 4))
    assert visible.tolist() == [0, 1] and hidden.tolist() == [2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mask_ratio": 0.0}, "mask_ratio is in"),
        ({"mask_ratio": 1.0}, "mask_ratio is in"),
        ({"decode_ratio": 0.0}, "decode_ratio is in"),
        ({"decode_ratio": 1.1}, "decode_ratio is in"),
    ],
)
def test_ratios_out_of_range_are_refused(arguments, words):
    with pytest.raises(UserError, match=words):
        RandomMasking(4, **arguments)


def test_an_image_that_is_no_multiple_of_the_patch_is_refused():
    with pytest.raises(UserError, match=r"\[30, 32\] is not a multiple of patch size \[4, 4\]: choose another"):
        RandomMasking(4)(torch.zeros(1, 30, 32))


@given(grids, st.data())
def test_the_drawn_mask_is_true_exactly_in_its_tokens(grid, data):
    patch = data.draw(st.lists(st.integers(1, 3), min_size=len(grid), max_size=len(grid)))
    index = data.draw(st.lists(st.integers(0, math.prod(grid) - 1), min_size=1, unique=True))
    size = [cells * side for cells, side in zip(grid, patch, strict=True)]
    drawn = mask_image(torch.tensor([index]), size, patch)
    assert drawn.shape == (1, 1, *size) and drawn.dtype == torch.bool
    for voxel in np.ndindex(*size):
        cell = tuple(place // side for place, side in zip(voxel, patch, strict=True))
        assert drawn[(0, 0, *voxel)].item() == (np.ravel_multi_index(cell, grid) in index)


def test_predict_all_asks_for_every_token_and_hides_what_its_strategy_hides():
    image = torch.zeros(1, 8, 8)
    masking = PredictAll(RandomMasking(2, 0.75)).set_random_state(3)
    visible, hidden = masking(image)
    expected, _ = RandomMasking(2, 0.75).set_random_state(3)(image)
    assert torch.equal(visible, expected) and hidden.tolist() == list(range(16))
