from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, LoadImaged
from PIL import Image
from torch import nn

from monai_mae_ext.data import RadiographReader
from monai_mae_ext.errors import UserError
from monai_mae_ext.phantoms import chest_phantom
from monai_mae_ext.transforms import ThoraxRegion, ThoraxRegiond


@pytest.fixture(scope="module")
def film() -> MetaTensor:
    image = torch.as_tensor(chest_phantom(3, 256).image)[None]
    return MetaTensor(image, meta={"filename_or_obj": "ward/film7.png"})


class Threshold(nn.Module):
    """Logits of a network that calls the left upper quarter the thorax; ``channels`` outputs."""

    def __init__(self, channels: int, inside: float = 1.0) -> None:
        super().__init__()
        self.channels, self.inside = channels, inside

    def forward(self, x):
        assert x.min() >= 0 and x.max() <= 1
        logits = -torch.ones(1, 1, *x.shape[2:])
        logits[..., : x.shape[2] // 2, : x.shape[3] // 2] = self.inside
        return logits if self.channels == 1 else torch.cat([-logits, logits], dim=1)


def test_contour_of_a_film_of_any_range_and_channels(film):
    mask = ThoraxRegion()(film)
    assert mask.meta["thorax_region"] == "contour" and mask.meta["filename_or_obj"] == "ward/film7.png"
    assert mask.shape == (1, 256, 256) and mask.dtype == torch.float32 and set(mask.unique().tolist()) == {0, 1}
    assert torch.equal(ThoraxRegion()(film.repeat(3, 1, 1) * 255 - 40), mask)


def test_the_contour_hardly_depends_on_the_resolution():
    small, large = (ThoraxRegion()(torch.as_tensor(chest_phantom(3, size).image)[None]) for size in (256, 768))
    shrunk = (
        torch.nn.functional.interpolate(large[None].as_subclass(torch.Tensor), size=(256, 256), mode="area")[0] > 0.5
    )
    assert (shrunk != (small > 0)).float().mean() < 0.03


def test_no_region_is_an_empty_mask(film):
    mask = ThoraxRegion("none")(film)
    assert mask.shape == film.shape and not mask.any() and mask.meta["thorax_region"] == "none"


def test_the_box_is_where_it_is_said_to_be():
    mask = ThoraxRegion("box")(torch.rand(1, 100, 200))
    rows, columns = mask[0].any(1).nonzero(), mask[0].any(0).nonzero()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (15, 84, 24, 175)
    assert mask.meta["thorax_region"] == "box"


def test_masks_from_files(film, tmp_path):
    drawn = np.zeros((64, 64), dtype=np.uint8)
    drawn[16:32, 8:24] = 255
    Image.fromarray(drawn).save(tmp_path / "film7.png")
    region = ThoraxRegion("mask_file", mask_dir=tmp_path)
    mask = region(film)
    assert mask.meta["thorax_region"] == "file"
    assert mask.sum() == 64 * 64 and mask[0, 64:128, 32:96].all()
    other = MetaTensor(film, meta={"filename_or_obj": "1.2.840.17"})
    assert region(other).meta["thorax_region"].startswith("fallback: no mask 1.2.840.17.png")
    (tmp_path / "film7.png").write_bytes(b"broken")
    with pytest.raises(UserError, match="film7.png"):
        region(film)
    with pytest.raises(UserError, match="filename_or_obj"):
        region(torch.rand(1, 8, 8))


@pytest.mark.parametrize("channels", [1, 2])
def test_masks_from_a_network(film, channels):
    mask = ThoraxRegion("network", network=Threshold(channels), network_size=64)(film * 300)
    assert mask.meta["thorax_region"] == "network"
    assert mask[0, :126, :126].all() and not mask[0, 130:].any() and not mask[0, :, 130:].any()


def test_a_network_that_finds_nothing_gets_the_box(film):
    mask = ThoraxRegion("network", network=Threshold(1, -1.0), network_size=64)(film)
    assert mask.meta["thorax_region"] == "fallback: the network found nothing"
    assert torch.equal(mask, ThoraxRegion("box")(film))


def test_the_dictionary_twin_warns_once_of_a_fallback(tmp_path, caplog):
    Image.fromarray(np.full((64, 64), 90, dtype=np.uint8)).save(tmp_path / "blank.png")
    transform = Compose(
        [LoadImaged("image", reader=RadiographReader, ensure_channel_first=True), ThoraxRegiond("image", "region")]
    )
    for _ in range(2):
        out = transform({"image": str(tmp_path / "blank.png")})
    assert out["region"].shape == out["image"].shape == (1, 64, 64)
    warnings = [message for message in caplog.messages if "thorax" in message]
    assert len(warnings) == 1
    assert "blank.png: the thorax region is the central box (fallback: the film is blank)" in warnings[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "guess"}, "method is one of"),
        ({"gate": 2}, "gate is in"),
        ({"method": "mask_file", "mask_dir": "no/such"}, "no folder no/such"),
        ({"method": "network"}, "needs a network"),
        ({"method": "network", "network": nn.Flatten()}, r"must give logits \(1, K, height, width\)"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(UserError, match=message):
        ThoraxRegion(**options)(torch.rand(1, 32, 32))
