from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.transforms import Compose, RandFlipd, RandRotated
from scipy.stats import chisquare

from monai_mae_ext.errors import UserError
from monai_mae_ext.transforms import RandomMasking, RandResizedCropd, RegionMasking, TokenMaskingd

IMAGE = torch.zeros(1, 20, 20)


def box(top: int, bottom: int, left: int, right: int, size: int = 20) -> torch.Tensor:
    region = torch.zeros(1, size, size)
    region[:, top:bottom, left:right] = 1
    return region


RELEASED = box(6, 16, 3, 16)  # the fixed rectangle of the released code: 130 of 400 tokens


def seen_often(masking: RegionMasking, region: torch.Tensor | None, draws: int = 3000) -> np.ndarray:
    """How often each token was visible."""
    seen = np.zeros(400)
    for _ in range(draws):
        seen[masking(IMAGE, region)[0]] += 1
    return seen


@given(st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20)), st.floats(0.05, 1))
def test_every_region_leaves_the_same_counts(corners, decode_ratio):
    masking = RegionMasking(1, decode_ratio=decode_ratio)
    visible, hidden = masking(IMAGE, box(*corners))
    assert len(visible) == len(visible.unique()) == 47
    assert len(hidden) == len(hidden.unique()) == max(1, round(353 * decode_ratio))
    assert not set(visible.tolist()) & set(hidden.tolist())
    plain_visible, plain_hidden = RandomMasking(1, masking.mask_ratio, decode_ratio)(IMAGE)
    assert (len(plain_visible), len(plain_hidden)) == (len(visible), len(hidden))


def test_a_region_of_the_reference_area_is_masked_in_both_ratios():
    seen = seen_often(RegionMasking(1).set_random_state(0), RELEASED) / 3000
    inside = RELEASED.flatten().numpy() > 0
    assert inside.sum() == 130
    assert 1 - seen[inside].mean() == pytest.approx(0.95, abs=0.005)
    assert 1 - seen[~inside].mean() == pytest.approx(0.85, abs=0.005)
    assert seen[inside].max() < seen[~inside].min()


@pytest.mark.parametrize("region", [None, torch.zeros(1, 20, 20), torch.ones(1, 20, 20)], ids=["none", "no", "all"])
def test_without_a_region_every_token_is_seen_equally_often(region):
    seen = seen_often(RegionMasking(1).set_random_state(1), region)
    assert chisquare(seen).pvalue > 0.01


def test_strength_0_is_plain_random_masking_and_half_strength_lies_between():
    inside = RELEASED.flatten().numpy() > 0
    masking = RegionMasking(1).set_random_state(2)
    shares = []
    for masking.strength in (0.0, 0.5, 1.0):
        seen = seen_often(masking, RELEASED, 1000)
        shares.append(seen[inside].sum() / seen.sum())
    assert shares[0] == pytest.approx(130 / 400, abs=0.01)
    assert shares[0] > shares[1] + 0.05 > shares[2] + 0.1


def test_the_predicted_tokens_are_drawn_alike_from_both_regions():
    masking = RegionMasking(1, decode_ratio=0.25).set_random_state(3)
    hidden = torch.cat([masking(IMAGE, RELEASED)[1] for _ in range(500)])
    inside = RELEASED.flatten()[hidden].mean()
    assert inside == pytest.approx(130 * 0.95 / 353, abs=0.01)


def test_a_token_is_inside_where_half_of_it_is_covered():
    region = torch.zeros(1, 8, 8)
    region[:, :2, :4] = 1  # half of the first token
    region[:, 4:, 4:] = 1
    region[:, 4, 4:] = 0
    region[:, 0, 4:] = 1  # a quarter of the second
    assert RegionMasking(4).inside_tokens(region, [2, 2]).tolist() == [True, False, False, True]


def test_a_seed_gives_the_same_masks():
    first, second = (RegionMasking(1).set_random_state(5)(IMAGE, RELEASED)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_mask_and_image_stay_together_under_rotations_crops_and_flips():
    """Where the image shows the region, few tokens are seen, however the two were moved."""
    data = {"image": RELEASED.repeat_interleave(8, 1).repeat_interleave(8, 2)}
    data["thorax"] = data["image"].clone()
    masking = RegionMasking(8, 0.99, 0.5, 0.3)
    transform = Compose(
        [
            RandRotated(["image", "thorax"], range_x=0.3, prob=1.0, mode=["bilinear", "nearest"]),
            RandResizedCropd(["image", "thorax"], 160, (0.5, 1.0)),
            RandFlipd(["image", "thorax"], 0.5, spatial_axis=1),
            TokenMaskingd("image", masking, guide_key="thorax"),
        ]
    ).set_random_state(0)
    seen, area = [], []
    for _ in range(200):
        out = transform(data)
        inside = masking.inside_tokens(out["image"], [20, 20])
        seen.append(inside[out["visible"]].mean())
        area.append(inside.mean())
    assert np.mean(seen) < 0.15 * np.mean(area)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inside_ratio": 1.0}, "inside_ratio is in"),
        ({"outside_ratio": 0}, "outside_ratio is in"),
        ({"reference_area": 2}, "reference_area is in"),
    ],
)
def test_ratios_out_of_range_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        RegionMasking(1, **arguments)


def test_a_guide_of_another_size_is_refused():
    with pytest.raises(UserError, match="does not fit an image"):
        RegionMasking(1)(IMAGE, torch.zeros(1, 10, 20))
