from __future__ import annotations

import io
import itertools
import json
import math

import pytest
import torch
from torch import Tensor, nn

from monai_mae_ext.errors import UserError
from monai_mae_ext.losses import MaskedReconstructionLoss
from monai_mae_ext.networks import MaskedAutoencoder
from monai_mae_ext.networks.blocks import DropPath
from monai_mae_ext.transforms import mask_image

SIZES = {2: ((16, 24), (4, 8)), 3: ((8, 8, 12), (4, 2, 4))}
SMALL = {
    "hidden_size": 48, "mlp_dim": 64, "num_layers": 2, "num_heads": 4,
    "decoder_hidden_size": 24, "decoder_mlp_dim": 32, "decoder_num_layers": 2, "decoder_num_heads": 2,
}  # fmt: skip


def network(axes: int = 2, **options: object) -> MaskedAutoencoder:
    torch.manual_seed(0)
    img_size, patch_size = SIZES[axes]
    return MaskedAutoencoder(axes, 2, img_size, patch_size, **{**SMALL, **options}).eval()


def batch(axes: int = 2, n_visible: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Two images with different masks, as the loader gives them."""
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(2, 2, *SIZES[axes][0], generator=generator)
    n_tokens = math.prod(side // patch for side, patch in zip(*SIZES[axes], strict=True))
    order = torch.stack([torch.randperm(n_tokens, generator=generator) for _ in range(2)])
    return image, order[:, :n_visible].sort().values, order[:, n_visible:].sort().values


def voxels(index: Tensor, axes: int = 2) -> Tensor:
    return mask_image(index, *SIZES[axes]).expand(-1, 2, *[-1] * axes)


variants = pytest.mark.parametrize(
    ("axes", "decoder", "positions", "cls_token"),
    list(itertools.product([2, 3], ["self", "cross"], ["sincos", "learnable"], [True, False])),
)
decoders = pytest.mark.parametrize("decoder", ["self", "cross"])


@variants
def test_forward_gives_an_image_of_the_same_shape(axes, decoder, positions, cls_token):
    net = network(axes, decoder=decoder, positions=positions, cls_token=cls_token)
    image, visible, hidden = batch(axes)
    for out in (net(image), net(image, visible, hidden), net(image, visible)):
        assert out.shape == image.shape and out.dtype == torch.float32 and out.isfinite().all()
    assert net.encoder(image, visible).shape == (2, 4 + cls_token, 48)
    assert net.encoder(image).shape == (2, net.n_tokens + cls_token, 48)


@pytest.mark.parametrize(
    ("axes", "decoder", "positions", "cls_token"),
    [(2, "self", "sincos", True), (3, "cross", "learnable", False), (3, "self", "sincos", False)],
)
def test_scripted_equals_eager(axes, decoder, positions, cls_token):
    net = network(axes, decoder=decoder, positions=positions, cls_token=cls_token)
    scripted = torch.jit.script(net)
    image, visible, hidden = batch(axes)
    torch.testing.assert_close(scripted(image), net(image))
    torch.testing.assert_close(scripted(image, visible, hidden), net(image, visible, hidden))


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


def test_drop_path_acts_in_training_only_and_rises_linearly():
    net = network(drop_path=0.5, num_layers=3)
    assert [block.drop_path.rate for block in net.encoder.blocks] == pytest.approx([0, 0.25, 0.5])
    assert {block.drop_path.rate for block in net.decoder.blocks} == {0}
    image, visible, _ = batch()
    assert torch.equal(net.encoder(image, visible), net.encoder(image, visible))
    net.train()
    assert not torch.equal(net.encoder(image, visible), net.encoder(image, visible))


def test_drop_path_drops_whole_samples_and_keeps_the_mean():
    torch.manual_seed(0)
    dropped = DropPath(0.3).train()(torch.ones(20_000, 2, 3))
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert (dropped == dropped[:, :1, :1]).all()
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)


@decoders
def test_checkpointing_changes_no_gradient(decoder):
    image, visible, hidden = batch()
    gradients = []
    for checkpointing in (False, True):
        net = network(decoder=decoder, checkpointing=checkpointing).train()
        loss = MaskedReconstructionLoss(SIZES[2][1])
        loss(net(image, visible, hidden), {"image": image, "hidden": hidden}).backward()
        gradients.append({name: value.grad for name, value in net.named_parameters() if value.requires_grad})
    assert None not in gradients[0].values()
    torch.testing.assert_close(*gradients)


@decoders
def test_every_trainable_weight_gets_a_gradient(decoder):
    """Anything else stops DistributedDataParallel."""
    image, visible, hidden = batch()
    net = network(decoder=decoder, positions="learnable")
    net(image, visible, hidden).square().sum().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in net.parameters())


@decoders
def test_bfloat16_autocast_runs_forward_and_backward_with_a_float32_loss(decoder):
    image, visible, hidden = batch()
    net = network(decoder=decoder).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = net(image, visible, hidden)
        loss = MaskedReconstructionLoss(SIZES[2][1])(out, {"image": image, "hidden": hidden})
    loss.backward()
    assert out.dtype == torch.bfloat16
    assert loss.dtype == torch.float32 and loss.isfinite()
    assert all(value.grad.isfinite().all() for value in net.parameters() if value.requires_grad)
    torch.testing.assert_close(out.float(), net(image, visible, hidden), atol=0.05, rtol=0.05)


@decoders
def test_autocast_does_not_round_the_positions_of_the_queries(decoder):
    image, visible, hidden = batch()
    net = network(decoder=decoder)
    inputs = []
    net.decoder.blocks[0].register_forward_pre_hook(lambda block, arguments: inputs.append(arguments[0]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        net(image, visible, hidden)
    assert torch.equal(inputs[0][:, -hidden.shape[1] :], net.decoder.queries(hidden))


@decoders
@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.filterwarnings("ignore")
def test_onnx_equals_eager(axes, decoder):
    onnxruntime = pytest.importorskip("onnxruntime")
    net = network(axes, decoder=decoder)
    arguments = batch(axes)
    names = ("image", "visible", "hidden")
    for inputs in (arguments[:1], arguments):
        file = io.BytesIO()
        given = list(names[: len(inputs)])
        dynamic = {name: {0: "batch"} for name in given}
        torch.onnx.export(net, inputs, file, dynamo=False, input_names=given, dynamic_axes=dynamic)
        session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
        for rows in (2, 1):
            out = session.run(None, {name: value[:rows].numpy() for name, value in zip(given, inputs, strict=True)})[0]
            expected = net(*(value[:rows] for value in inputs))
            torch.testing.assert_close(torch.from_numpy(out), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("axes", [2, 3])
def test_initialisation_is_the_original_maes(axes):
    net = network(axes, hidden_size=192, mlp_dim=384, decoder_hidden_size=96, decoder_num_layers=1)
    for name, module in net.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d):
            rows, columns = module.weight.flatten(1).shape
            bound = math.sqrt(6 / (rows + columns))
            assert bound * 0.97 < module.weight.abs().max() <= bound, name
            assert module.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05), name
            assert (module.bias == 0).all(), name
        elif isinstance(module, nn.LayerNorm):
            assert (module.weight == 1).all() and (module.bias == 0).all()
    for token in (net.encoder.cls_token, net.decoder.mask_token):
        assert token.std().item() == pytest.approx(0.02, rel=0.25)


def test_positions_are_fixed_when_sincos_and_trained_when_learnable():
    fixed, learnt = network(), network(positions="learnable")
    for net, trained in ((fixed, False), (learnt, True)):
        for table in (net.encoder.patch_embedding.position_embeddings, net.decoder.position_embeddings):
            assert table.requires_grad is trained
            assert len(table[0].unique(dim=0)) == net.n_tokens, "two tokens share a position"
    assert learnt.encoder.patch_embedding.position_embeddings.std().item() == pytest.approx(0.02, rel=0.2)


@decoders
def test_facts_rebuild_the_network_even_through_json(decoder):
    net = network(3, decoder=decoder, positions="learnable", cls_token=False, drop_path=0.1, qkv_bias=False)
    twin = MaskedAutoencoder(**json.loads(json.dumps(net.facts)))
    twin.load_state_dict(net.state_dict(), strict=True)
    assert twin.facts == json.loads(json.dumps(net.facts))
    image = batch(3)[0]
    assert torch.equal(twin.eval()(image), net(image))


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
