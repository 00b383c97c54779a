from __future__ import annotations

import itertools

import pytest
import torch

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks import MaskedAutoencoder
from tests.networks.small import SMALL, batch, decoders, network, voxels

variants = pytest.mark.parametrize(
    ("axes", "decoder", "positions", "cls_token"),
    list(itertools.product([2, 3], ["self", "cross"], ["sincos", "learnable"], [True, False])),
)


@variants
def test_forward_gives_an_image_of_the_same_shape(axes, decoder, positions, cls_token):
    net = network(axes, decoder=decoder, positions=positions, cls_token=cls_token)
    image, visible, hidden = batch(axes)
    for out in (net(image), net(image, visible, hidden), net(image, visible)):
        assert out.shape == image.shape and out.dtype == torch.float32 and out.isfinite().all()
    assert net.encoder(image, visible).shape == (2, 4 + cls_token, 48)
    assert net.encoder(image).shape == (2, net.n_tokens + cls_token, 48)


@decoders
def test_all_tokens_listed_is_the_same_as_none_listed(decoder):
    net = network(decoder=decoder)
    image = batch()[0]
    every = torch.arange(net.n_tokens).expand(2, -1)
    torch.testing.assert_close(net(image, every, every), net(image))


@decoders
@pytest.mark.parametrize("axes", [2, 3])
def test_predictions_stand_in_the_hidden_voxels_and_all_else_is_exactly_0(axes, decoder):
    image, visible, hidden = batch(axes)
    out = network(axes, decoder=decoder)(image, visible, hidden[:, ::2])
    drawn = voxels(hidden[:, ::2], axes)
    assert (out[~drawn] == 0).all()
    assert (out[drawn] != 0).all()


@decoders
def test_the_order_of_visible_and_hidden_does_not_matter(decoder):
    net = network(decoder=decoder)
    image, visible, hidden = batch()
    shuffled = net(image, visible[:, torch.randperm(4)], hidden[:, torch.randperm(hidden.shape[1])])
    torch.testing.assert_close(shuffled, net(image, visible, hidden))


@decoders
@pytest.mark.parametrize("axes", [2, 3])
def test_hidden_pixels_cannot_influence_the_prediction_and_visible_ones_do(axes, decoder):
    net = network(axes, decoder=decoder)
    image, visible, hidden = batch(axes)
    out = net(image, visible, hidden)
    painted = torch.where(voxels(visible, axes), image, torch.full_like(image, 1e3))
    assert torch.equal(net(painted, visible, hidden), out)

    image.requires_grad_()
    net(image, visible, hidden).square().sum().backward()
    assert (image.grad[~voxels(visible, axes)] == 0).all()
    assert (image.grad[voxels(visible, axes)] != 0).all()


@decoders
def test_samples_of_a_batch_do_not_mix(decoder):
    net = network(decoder=decoder)
    image, visible, hidden = batch()
    alone = torch.cat([net(*(item[row : row + 1] for item in (image, visible, hidden))) for row in range(2)])
    torch.testing.assert_close(net(image, visible, hidden), alone)


@decoders
def test_the_decoder_knows_where_the_visible_tokens_stand(decoder):
    net = network(decoder=decoder)
    image, visible, hidden = batch()
    before = net(image, visible, hidden)[0]
    table, moved = net.decoder.position_embeddings.data, visible[0, :2]
    table[:, moved] = table[:, moved.flip(0)]
    assert (net(image, visible, hidden)[0] - before).abs().max() > 1e-4


def test_the_cross_decoder_predicts_a_token_regardless_of_which_others_are_asked_for():
    net = network(decoder="cross")
    image, visible, hidden = batch()
    some = hidden[:, 1::3]
    everything = net(image, visible, hidden)
    torch.testing.assert_close(net(image, visible, some), everything * voxels(some))


def test_the_self_decoder_lets_hidden_tokens_attend_to_each_other():
    net = network(decoder="self")
    image, visible, hidden = batch()
    some = hidden[:, 1::3]
    difference = (net(image, visible, some) - net(image, visible, hidden) * voxels(some)).abs().max()
    assert difference > 1e-4


@decoders
def test_with_recall_a_visible_token_is_predicted_from_its_own_features(decoder):
    plain, recalling = network(decoder=decoder), network(decoder=decoder, decoder_recall=True)
    recalling.load_state_dict(plain.state_dict())
    image, visible, hidden = batch()
    torch.testing.assert_close(recalling(image, visible, hidden), plain(image, visible, hidden))

    for block in recalling.decoder.blocks:  # cut all ways through attention: what is left is the token's own
        block.attn.out_proj.weight.data.zero_()
    image.requires_grad_()
    recalling(image, visible)[voxels(visible)].sum().backward()
    assert (image.grad[voxels(visible)] != 0).any()
    for block in plain.decoder.blocks:
        block.attn.out_proj.weight.data.zero_()
    image.grad = None
    plain(image, visible)[voxels(visible)].sum().backward()
    assert not image.grad.any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"img_size": 20}, r"img_size 20 and patch_size 16 .*\[20, 20\] is not a multiple of patch size \[16, 16\]"),
        ({"img_size": (32, 32, 32)}, "do not fit a 2-D network"),
        ({"spatial_dims": 4}, "spatial_dims is 2 or 3, not 4"),
        ({"num_heads": 7}, "a width of 48 cannot be split into 7 attention heads"),
        ({"decoder_num_heads": 5}, "a width of 24 cannot be split into 5"),
        ({"hidden_size": 50, "num_heads": 2}, "2-D sin-cos positions need a width that is a multiple of 4, not 50"),
        ({"decoder": "none"}, r"decoder is one of \['cross', 'self'\]"),
        ({"positions": "fourier"}, "positions are 'sincos' or 'learnable', not 'fourier'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options, words):
    arguments = {"spatial_dims": 2, "in_channels": 1, "img_size": 32, "patch_size": 16, **SMALL, **options}
    with pytest.raises(UserError, match=words):
        MaskedAutoencoder(**arguments)


def test_an_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"image of \[16, 16\] does not fit the network's img_size \[16, 24\]"):
        network()(torch.zeros(1, 2, 16, 16))
