from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.transforms import Compose

from monai_mae_ext.transforms import RandResizedCrop, RandResizedCropd

sides = st.integers(1, 200)


@given(sides, sides, st.integers(0, 1000))
def test_the_box_lies_inside_the_image(height, width, seed):
    crop = RandResizedCrop(8).set_random_state(seed)
    for _ in range(5):
        top, left, rows, columns = crop.randomize((height, width))
        assert 0 <= top and top + rows <= height and rows >= 1
        assert 0 <= left and left + columns <= width and columns >= 1


@given(st.floats(0.1, 1.0), st.integers(0, 1000))
def test_the_boxs_share_of_the_area_and_its_aspect_stay_in_their_ranges(scale, seed):
    crop = RandResizedCrop(8, scale=(scale, 1.0), ratio=(0.75, 4 / 3)).set_random_state(seed)
    for _ in range(5):
        _, _, rows, columns = crop.randomize((2000, 1000))
        assert scale - 0.002 <= rows * columns / 2_000_000 <= 1
        assert 0.745 <= 2 * columns / rows <= 1.34


def test_boxes_reach_every_corner():
    crop = RandResizedCrop(8, scale=(0.25, 0.25), ratio=(1, 1)).set_random_state(0)
    boxes = torch.tensor([crop.randomize((8, 8)) for _ in range(400)])
    assert boxes[:, 2:].unique().tolist() == [4]
    assert boxes[:, :2].min(0).values.tolist() == [0, 0] and boxes[:, :2].max(0).values.tolist() == [4, 4]


def test_a_box_of_the_whole_image_is_the_image():
    image = torch.rand(3, 12, 16)
    torch.testing.assert_close(RandResizedCrop((12, 16), scale=(1, 1), ratio=(1, 1))(image), image)


def test_the_output_is_the_box_resized():
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(32.0), indexing="ij")
    crop = RandResizedCrop((16, 24), scale=(0.3, 0.6)).set_random_state(5)
    top, left, height, width = RandResizedCrop((16, 24), scale=(0.3, 0.6)).set_random_state(5).randomize((64, 32))
    out = crop(torch.stack([rows, columns]))
    assert out.shape == (2, 16, 24)
    middle = out[:, 4:-4, 4:-4]
    expected_rows = top + (torch.arange(16) + 0.5) * height / 16 - 0.5
    expected_columns = left + (torch.arange(24) + 0.5) * width / 24 - 0.5
    torch.testing.assert_close(middle[0], expected_rows[4:-4, None].expand(-1, 16), atol=0.3, rtol=0)
    torch.testing.assert_close(middle[1], expected_columns[4:-4].expand(8, -1), atol=0.3, rtol=0)


def test_metadata_is_kept_and_plain_tensors_stay_plain():
    image = torch.rand(1, 20, 20)
    out = RandResizedCrop(8)(MetaTensor(image, meta={"filename_or_obj": "a.png"}))
    assert isinstance(out, MetaTensor) and out.meta["filename_or_obj"] == "a.png"
    assert type(RandResizedCrop(8)(image)) is torch.Tensor


def test_all_keys_of_the_dictionary_twin_get_the_same_box_and_calls_differ():
    transform = RandResizedCropd(["image", "other"], 8).set_random_state(0)
    image = torch.rand(1, 32, 32)
    first, second = (transform({"image": image, "other": 2 * image}) for _ in range(2))
    torch.testing.assert_close(first["other"], 2 * first["image"])
    assert not torch.equal(first["image"], second["image"])
    with pytest.raises(KeyError, match="other"):
        transform({"image": image})
    assert set(RandResizedCropd(["image", "other"], 8, allow_missing_keys=True)({"image": image})) == {"image"}


def test_compose_seeds_it():
    image = torch.rand(1, 32, 32)
    a, b, c = (
        Compose([RandResizedCropd("image", 8)]).set_random_state(s)({"image": image})["image"] for s in (1, 1, 2)
    )
    assert torch.equal(a, b) and not torch.equal(a, c)


@pytest.mark.parametrize(
    "arguments", [{"scale": (0, 1)}, {"scale": (0.5, 1.2)}, {"scale": (1, 0.5)}, {"ratio": (2, 1)}]
)
def test_ranges_that_make_no_sense_are_refused(arguments):
    with pytest.raises(ValueError, match="must lie in"):
        RandResizedCrop(8, **arguments)
