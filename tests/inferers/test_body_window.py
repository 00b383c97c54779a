from __future__ import annotations

import pytest
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor, nn

from monai_mae_ext.errors import UserError
from monai_mae_ext.inferers import BodyWindowInferer, body_mask
from monai_mae_ext.phantoms import abdomen_phantom


class Scores(nn.Module):
    """A network of random weights that sees a neighbourhood; counts the windows that it is given."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.windows = nn.Conv3d(1, classes, 5, padding=2), 0

    def forward(self, image: Tensor) -> Tensor:
        self.windows += len(image)
        return self.layer(image)


def man_in_air() -> tuple[Tensor, Tensor]:
    """A scan ``(1, 1, 80, 64, 40)`` scaled to 0..1, air 0, and the body: a tube that holds lungs and leaves above."""
    x, y, _ = torch.meshgrid(*(torch.arange(side).float() for side in (80, 64, 40)), indexing="ij")
    radius = ((x - 30) ** 2 + (y - 34) ** 2).sqrt()
    body = radius < 16
    image = torch.where(body & ~((radius < 9) & (torch.arange(40) > 12)), 0.5, 0.0)
    image[:, 4:6] = 0.4  # the table
    return image[None, None], body[None, None]


def test_the_body_is_found_with_its_lungs_and_without_the_table() -> None:
    image, body = man_in_air()
    found = body_mask(image, 0.0)
    assert found.shape == image.shape and found.dtype == torch.bool
    assert found[body].all(), "air inside the body belongs to it"
    assert found.sum() < 2.2 * body.sum() and not found[:, :, 60:].any() and not found[:, :, 30, 4:6].any()
    assert body_mask(torch.zeros(1, 1, 9, 8, 8), 0.0).all(), "where nothing is found all is looked at"


def test_the_body_of_a_phantom_is_inside_its_mask() -> None:
    phantom = abdomen_phantom(1, (4, 4, 4))
    image = ((torch.from_numpy(phantom.image).float() + 175) / 425).clip(0, 1)[None, None]
    assert body_mask(image, 0.0)[0, 0][torch.from_numpy(phantom.label) > 0].all()


@pytest.mark.parametrize("mode", ["gaussian", "constant"])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_scores_inside_the_body_are_those_of_all_windows_and_air_costs_nothing(mode: str, overlap: float) -> None:
    image, body = man_in_air()
    network = Scores()
    full = sliding_window_inference(image, (16, 16, 16), 4, network, overlap=overlap, mode=mode)
    every, network.windows = network.windows, 0
    found = BodyWindowInferer(16, 4, overlap, mode)(image, network)
    assert 1.5 * network.windows < every
    inside = body.expand_as(full)
    torch.testing.assert_close(found[inside], full[inside])
    assert (found.argmax(1, keepdim=True)[:, :, 60:] == 0).all(), "air is background"


def test_without_a_threshold_all_windows_are_computed() -> None:
    image, _ = man_in_air()
    network = Scores()
    full = sliding_window_inference(image, (16, 16, 16), 4, network, overlap=0.5, mode="gaussian")
    torch.testing.assert_close(BodyWindowInferer(16, threshold=None)(image, network), full)


def test_a_scan_smaller_than_a_window_and_one_of_air_are_segmented() -> None:
    for image in (torch.rand(1, 1, 10, 20, 3), torch.zeros(2, 1, 20, 20, 20)):
        found = BodyWindowInferer(16)(image, Scores())
        assert found.shape == (len(image), 4, *image.shape[2:]) and found.isfinite().all()


def test_mirrored_views_are_averaged() -> None:
    image = torch.rand(1, 1, 16, 16, 16)
    network = Scores()
    expected = sum(network(image.flip(axes)).flip(axes) for axes in ([], [2], [4], [2, 4])) / 4
    torch.testing.assert_close(BodyWindowInferer(16, mirror_axes=(0, 2))(image, network), expected)


def test_windows_are_computed_where_the_scan_is_and_put_together_on_another_device() -> None:
    network = Scores()
    found = BodyWindowInferer(16, stitch_device="meta")(torch.rand(1, 1, 20, 16, 16), network)
    assert found.device.type == "meta" and found.shape == (1, 4, 20, 16, 16) and network.windows == 2


def test_every_sample_of_a_batch_has_its_own_body() -> None:
    image, _ = man_in_air()
    batch = torch.cat([image, image.flip(2)])
    network = Scores()
    found = BodyWindowInferer(16)(batch, network)
    for sample, alone in enumerate(batch):
        torch.testing.assert_close(found[sample : sample + 1], BodyWindowInferer(16)(alone[None], network))


def test_two_legs_are_both_the_patient() -> None:
    image = torch.zeros(1, 1, 64, 32, 16)
    image[:, :, 4:20, 8:24] = 0.5
    image[:, :, 40:54, 8:24] = 0.5
    assert body_mask(image, 0.0)[image > 0].all()


def test_a_network_without_background_is_refused() -> None:
    with pytest.raises(UserError, match="has no background"):
        BodyWindowInferer(16)(man_in_air()[0], Scores(classes=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"overlap": 1.0}, r"overlap is in \[0, 1\), not 1.0"),
        ({"mirror_axes": [3]}, "mirror_axes are spatial axes"),
        ({"mirror_axes": [1, 1]}, "each once"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        BodyWindowInferer(16, **arguments)
