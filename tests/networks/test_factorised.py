from __future__ import annotations

import pytest
import torch

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks import MaskedAutoencoder, ViTSegmenter, encoder_weights, own_names, transfer_encoder
from monai_mae_ext.networks.factorised import count_slices, group_tokens, ungroup_tokens
from monai_mae_ext.transforms import PlaneAxisMasking, PlaneOrAxisMasking
from tests.networks.small import SMALL

SIZE, PATCH = (8, 12, 16), 4  # a grid of 2 x 3 x 4 tokens
leading = pytest.mark.parametrize("leading", [0, 1])


def network(**options: object) -> MaskedAutoencoder:
    torch.manual_seed(0)
    sizes = {"spatial_dims": 3, "in_channels": 1, "img_size": SIZE, "patch_size": PATCH, "attention": "factorised"}
    return MaskedAutoencoder(**{**sizes, **SMALL, **options}).eval()


def masks(masking: PlaneAxisMasking, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    masking.set_random_state(0)
    pairs = [masking(torch.zeros(1, *SIZE)) for _ in range(batch)]
    visible, hidden = (torch.stack(index) for index in zip(*pairs, strict=True))
    return visible, hidden


@leading
@pytest.mark.parametrize("along", [False, True])
def test_grouping_and_ungrouping_give_the_tokens_back(leading: int, along: bool) -> None:
    x = torch.randn(2, leading + 24, 5)
    grouped = group_tokens(x, leading, 4, along)
    assert grouped.shape == ((12, 4, 5) if along else (8, leading + 6, 5))
    torch.testing.assert_close(ungroup_tokens(grouped, x, leading, 4, along), x)


def test_groups_are_slices_and_columns() -> None:
    tokens = torch.arange(24.0).reshape(1, 24, 1)
    for group in group_tokens(tokens, 0, 4, along=False):
        assert len(set((group[:, 0] % 4).tolist())) == 1
    for group in group_tokens(tokens, 0, 4, along=True):
        assert len(set((group[:, 0] // 4).tolist())) == 1 and group[:, 0].diff().eq(1).all()


def test_a_block_mixes_its_own_group_alone() -> None:
    """One block: a token's feature hangs on its slice. Two blocks: on all."""
    image = torch.randn(1, 1, *SIZE, requires_grad=True)
    for layers, reaches_other_slices in ((1, False), (2, True)):
        net = network(num_layers=layers, cls_token=False)
        net.encoder(image)[0, 0, 0].backward()  # token 0 is in the first slice
        assert bool(image.grad[..., 4:].any()) == reaches_other_slices and image.grad[..., :4].any()
        image.grad = None


def test_visible_slices_are_counted_and_other_masks_are_refused() -> None:
    visible, hidden = masks(PlaneOrAxisMasking(PATCH))
    assert count_slices(visible, 4) == 2
    assert network()(torch.randn(2, 1, *SIZE), visible, hidden).isfinite().all()
    staggered, _ = masks(PlaneAxisMasking(PATCH))
    with pytest.raises(UserError, match="use PlaneOrAxisMasking"):
        network()(torch.randn(2, 1, *SIZE), staggered, hidden)
    with pytest.raises(UserError, match="use PlaneOrAxisMasking"):
        count_slices(torch.tensor([[0, 1, 6]]), 4)


def test_with_one_slice_it_is_full_attention() -> None:
    options = {"img_size": (8, 12, 4), "num_layers": 1}
    factorised, full = network(**options), network(**options, attention="full")
    image = torch.randn(2, 1, 8, 12, 4)
    torch.testing.assert_close(factorised(image), full(image))


def test_gradients_reach_every_weight() -> None:
    net = network().train()
    visible, hidden = masks(PlaneOrAxisMasking(PATCH))
    net(torch.randn(2, 1, *SIZE), visible, hidden).square().sum().backward()
    fixed = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    assert all(p.grad is not None and p.grad.any() for name, p in net.named_parameters() if name not in fixed)


def test_the_weights_are_those_of_a_vit_and_a_change_of_attention_is_reported() -> None:
    net = network()
    assert encoder_weights(net).keys() == encoder_weights(network(attention="full")).keys()
    source = own_names(dict(encoder_weights(net)), net.facts)
    sizes = (3, 1, SIZE, PATCH, 5, 48, 64, 2, 4, "light")
    assert "factorised attention: set" in str(transfer_encoder(ViTSegmenter(*sizes).encoder, source))
    same = ViTSegmenter(*sizes, attention="factorised")
    assert "note" not in str(transfer_encoder(same.encoder, source))
    image = torch.randn(1, 1, *SIZE)
    torch.testing.assert_close(same.eval().encoder(image), net.encoder(image))


def test_it_can_be_scripted() -> None:
    net = network()
    image = torch.randn(2, 1, *SIZE)
    torch.testing.assert_close(torch.jit.script(net)(image), net(image))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"attention": "linear"}, "attention is 'full' or"), ({"spatial_dims": 2, "img_size": 16}, "for volumes")],
)
def test_what_cannot_be_is_refused(options: dict, message: str) -> None:
    arguments = {"spatial_dims": 3, "in_channels": 1, "img_size": SIZE, "patch_size": PATCH, "attention": "factorised"}
    with pytest.raises(UserError, match=message):
        MaskedAutoencoder(**{**arguments, **SMALL, **options})
