from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from monai_mae_ext.errors import UserError
from monai_mae_ext.inferers import SuperpatchInferer
from monai_mae_ext.transforms import PlaneAxisMasking, RandomMasking


class Copy(nn.Module):
    """Returns what it is given, whatever is hidden, and remembers how it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Tensor, Tensor] | None] = []

    def forward(self, image: Tensor, visible: Tensor | None = None, hidden: Tensor | None = None) -> Tensor:
        self.asked.append(None if visible is None or hidden is None else (visible, hidden))
        return image


class Constant(nn.Module):
    def forward(self, image: Tensor, *indices: Tensor) -> Tensor:
        return torch.full_like(image, 5.0)


@pytest.mark.parametrize("size", [(24, 20, 16), (16, 16, 16), (37, 16, 18)])
def test_a_network_that_copies_gives_the_volume_back(size) -> None:
    volume = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(0))
    inferer = SuperpatchInferer(16, 4, PlaneAxisMasking(4), overlap=0.5)
    found = inferer(volume, Copy())
    torch.testing.assert_close(found["unmasked"], volume)
    hidden = found["hidden"].expand_as(volume)
    assert 0.7 < hidden.float().mean() < 1
    torch.testing.assert_close(found["predicted"][hidden], volume[hidden])
    assert not found["predicted"][~hidden].any()


def test_hidden_voxels_come_from_predictions_alone() -> None:
    volume = torch.rand(1, 1, 24, 24, 24, generator=torch.Generator().manual_seed(0))
    found = SuperpatchInferer(16, 4, RandomMasking(4), overlap=0.5)(volume, Constant())
    hidden = found["hidden"]
    torch.testing.assert_close(found["predicted"][hidden], torch.full_like(volume[hidden], 5.0))


def test_masks_are_disjoint_and_the_same_for_a_volume_whatever_came_before() -> None:
    volume, other = torch.rand(2, 1, 1, 20, 20, 20, generator=torch.Generator().manual_seed(0)).unbind()
    inferer, network = SuperpatchInferer(16, 4, RandomMasking(4), batch_size=3), Copy()
    first = inferer(volume, network)
    for asked in network.asked[1::2]:
        visible, hidden = asked
        assert not any(set(seen.tolist()) & set(unseen.tolist()) for seen, unseen in zip(visible, hidden, strict=True))
    inferer(other, network)
    assert torch.equal(inferer(volume, network)["hidden"], first["hidden"])


def test_without_masking_everything_is_seen() -> None:
    network = Copy()
    found = SuperpatchInferer(16, 4, None)(torch.rand(1, 1, 20, 16, 16), network)
    assert set(found) == {"unmasked"} and network.asked and not any(network.asked)


def test_an_overlap_out_of_range_is_refused() -> None:
    with pytest.raises(UserError, match=r"overlap is in \[0, 1\), not 1"):
        SuperpatchInferer(16, 4, None, overlap=1)
