from __future__ import annotations

import io
import json

import pytest
import torch

from monai_mae_ext.networks import MaskedAutoencoder
from tests.networks.small import batch, decoders, network


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


@decoders
def test_facts_rebuild_the_network_even_through_json(decoder):
    net = network(3, decoder=decoder, positions="learnable", cls_token=False, drop_path=0.1, qkv_bias=False)
    twin = MaskedAutoencoder(**json.loads(json.dumps(net.facts)))
    twin.load_state_dict(net.state_dict(), strict=True)
    assert twin.facts == json.loads(json.dumps(net.facts))
    image = batch(3)[0]
    assert torch.equal(twin.eval()(image), net(image))
