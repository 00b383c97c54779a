from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import CacheDataset, DataLoader, MetaTensor
from monai.transforms import Compose, RandFlipd

from monai_mae_ext.errors import UserError
from monai_mae_ext.transforms import PadToSuperpatchd, RandomMaskingd, RandSuperpatchd


@pytest.fixture
def volume() -> MetaTensor:
    """Air, but for a body that fills an eighth: ``(1, 24, 24, 24)``."""
    image = torch.zeros(1, 24, 24, 24)
    image[:, :12, :12, :12] = torch.rand(12, 12, 12) + 0.1
    return MetaTensor(image, affine=torch.diag(torch.tensor([1.0, 1.0, 2.0, 1.0])))


def test_padding_is_marked_and_the_volume_stays_as_it_was(volume):
    out = PadToSuperpatchd("image", (16, 32, 30), value=-1)({"image": volume})
    assert out["image"].shape == out["valid"].shape == (1, 24, 32, 30)
    inside = out["valid"].bool()
    assert torch.equal(out["image"][inside].as_subclass(torch.Tensor), volume.flatten().as_subclass(torch.Tensor))
    assert (out["image"][~inside] == -1).all() and inside.sum() == 24**3
    world = out["image"].affine @ torch.tensor([0.0, 4.0, 3.0, 1.0], dtype=torch.float64)
    assert world.tolist() == [0, 0, 0, 1], "the affine follows"


def test_a_large_volume_is_left_alone(volume):
    out = PadToSuperpatchd("image", 16)({"image": volume})
    assert torch.equal(out["image"], volume) and out["valid"].all()


def test_superpatches_hold_foreground_and_are_cropped_alike(volume):
    data = {"image": volume, "valid": MetaTensor(torch.arange(24**3).reshape(1, 24, 24, 24)), "name": "case 7"}
    crop = RandSuperpatchd(["image", "valid"], 8, num_samples=20, min_foreground=0.3, tries=200).set_random_state(0)
    for item in crop(data):
        assert item["image"].shape == (1, 8, 8, 8) and item["name"] == "case 7"
        assert (item["image"] > 0).float().mean() >= 0.3
        corner = np.unravel_index(int(item["valid"][0, 0, 0, 0]), (24, 24, 24))
        box = tuple(slice(start, start + 8) for start in corner)
        assert torch.equal(item["image"][0], volume[(0, *box)])
        assert torch.allclose(
            item["image"].affine[:3, 3], torch.tensor([1.0, 1.0, 2.0]).double() * torch.tensor(corner)
        )


def test_where_there_is_too_little_foreground_the_best_draw_is_taken():
    image = torch.zeros(1, 16, 16, 16)
    image[:, 8, 8, 8] = 1
    (item,) = RandSuperpatchd("image", 8, min_foreground=0.9, tries=50).set_random_state(0)({"image": image})
    assert item["image"].sum() == 1


def test_every_place_is_drawn(volume):
    crop = RandSuperpatchd("image", 22, num_samples=200, min_foreground=0).set_random_state(0)
    corners = {
        tuple((item["image"].affine[:3, 3] / torch.tensor([1, 1, 2])).tolist()) for item in crop({"image": volume})
    }
    assert len(corners) == 27


def test_several_superpatches_of_a_volume_make_one_batch(volume):
    transforms = Compose(
        [
            RandSuperpatchd("image", 8, num_samples=3),
            RandFlipd("image", prob=0.5, spatial_axis=0),
            RandomMaskingd("image", 4),
        ]
    )
    dataset = CacheDataset([{"image": volume}] * 2, transforms, progress=False)
    (batch,) = DataLoader(dataset, batch_size=2)
    assert batch["image"].shape == (6, 1, 8, 8, 8) and batch["visible"].shape == (6, 2)
    assert len({tuple(row.tolist()) for row in batch["visible"]}) > 1, "each has a mask of its own"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": 0}, "num_samples and tries"),
        ({"min_foreground": 1}, "min_foreground is in"),
        ({"spatial_size": 32}, "smaller than a superpatch of .*put PadToSuperpatchd"),
    ],
)
def test_mistakes_are_named(volume, arguments, message):
    with pytest.raises(UserError, match=message):
        RandSuperpatchd("image", **{"spatial_size": 8, **arguments})({"image": volume})
