"""The report generator: what it may look at, and its cache."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_mae_ext.losses import ReportLoss
from monai_mae_ext.networks import MaskedAutoencoder, ReportGenerator, save_encoder
from monai_mae_ext.networks.cached_decoder import CachedDecoder
from monai_mae_ext.reports.tokenizer import BEGIN, END
from monai_mae_ext.weights import start_from

SMALL = {
    "spatial_dims": 2, "img_size": 32, "patch_size": 16, "vocab_size": 11, "max_length": 9, "hidden_size": 16,
    "mlp_dim": 32, "num_layers": 1, "num_heads": 2, "text_width": 12, "text_layers": 2, "text_heads": 3,
}  # fmt: skip


def small(seed: int = 0, **changes) -> ReportGenerator:
    torch.manual_seed(seed)
    return ReportGenerator(**SMALL | changes).eval()


@given(seed=st.integers(0, 1000), batch=st.integers(1, 3), texts=st.integers(1, 3), length=st.integers(1, 9))
@settings(max_examples=15, deadline=None)
def test_step_by_step_it_is_the_whole_forward_pass(seed, batch, texts, length):
    network = small(seed)
    context = torch.randn(batch, 4, 12)
    tokens = torch.randint(11, (batch, texts, length))
    with torch.no_grad():
        wanted = network.decoder(tokens.flatten(0, 1), context.repeat_interleave(texts, 0))
        cached = CachedDecoder(network.decoder, context)
        steps = [cached.step(tokens[..., place]) for place in range(length)]
    found = torch.stack([logits for logits, _ in steps], dim=2).flatten(0, 1)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    for _, attention in steps:
        assert attention.shape == (batch, texts, 4)
        torch.testing.assert_close(attention.sum(-1), torch.ones(batch, texts))


def test_texts_that_change_places_go_on_from_their_own_past():
    network, context = small(), torch.randn(2, 4, 12)
    tokens = torch.randint(11, (2, 3, 4))
    parents = torch.tensor([[2, 0, 0], [1, 1, 2]])
    with torch.no_grad():
        cached = CachedDecoder(network.decoder, context)
        for place in range(3):
            cached.step(tokens[..., place])
        cached.reorder(parents)
        found, _ = cached.step(tokens[..., 3])
        moved = torch.cat([tokens[torch.arange(2)[:, None], parents, :3], tokens[..., 3:]], dim=-1)
        wanted = network.decoder(moved.flatten(0, 1), context.repeat_interleave(3, 0))[:, -1].reshape(2, 3, -1)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_neither_later_words_nor_padding_change_what_is_predicted():
    network, image = small(), torch.randn(2, 1, 32, 32)
    tokens = torch.tensor([[BEGIN, 5, 6, 2, 0, 0], [BEGIN, 5, 8, 9, 7, 2]])
    other = tokens.clone()
    other[:, 3:] = 10
    with torch.no_grad():
        torch.testing.assert_close(network(image, tokens)[:, :3], network(image, other)[:, :3])
        torch.testing.assert_close(network(image, tokens)[:1, :3], network(image[:1], tokens[:1, :3]))
        torch.testing.assert_close(network(image), network(image, tokens)[:, :1])


def test_the_loss_weighs_plan_and_words_apart():
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 11, requires_grad=True)
    tokens = torch.tensor([[4, 6, END, 0, 0], [5, 7, 7, 9, END]])
    surprise = -logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    words = torch.tensor([[0, 1, 1, 0, 0], [0, 1, 1, 1, 1]], dtype=torch.bool)
    loss = ReportLoss(plan_length=1, plan_weight=3)(logits, tokens)
    torch.testing.assert_close(loss, surprise[words].mean() + 3 * surprise[:, 0].mean())
    torch.testing.assert_close(ReportLoss(plan_length=0)(logits, tokens), surprise[tokens != 0].mean())
    loss.backward()
    assert logits.grad[0, 3:].abs().sum() == 0 and (logits.grad[0, :3] != 0).all()


def test_each_view_is_encoded_alone_and_known_by_its_place():
    network = small(n_views=2)
    torch.nn.init.normal_(network.views)
    image = torch.randn(1, 2, 32, 32)
    with torch.no_grad():
        one, both = network.features(image[:, 1:]), network.features(image)
        torch.testing.assert_close(both[:, 1:], one)
        assert network.context(both).shape == (1, 8, 12)
        swapped = network(image.flip(1))
    assert not torch.allclose(network(image), swapped)


def test_standardised_the_decoder_sees_how_a_film_differs_from_others():
    network = small(standardize=True)
    with torch.no_grad():
        features = network.features(torch.randn(16, 1, 32, 32))
        network.project = torch.nn.Identity()
        network.views.zero_()
        network.views.data = network.views[..., :1]
        deviation = network.train().context(features)
    torch.testing.assert_close(deviation.mean(0), torch.zeros(4, 16), rtol=0, atol=1e-4)
    torch.testing.assert_close(deviation.std(0, correction=0), torch.ones(4, 16), rtol=0, atol=1e-2)


def test_it_starts_from_a_pretrained_encoder(tmp_path):
    mae = MaskedAutoencoder(
        2, 1, 32, 16, hidden_size=16, mlp_dim=32, num_layers=1, num_heads=2, decoder_hidden_size=8, decoder_mlp_dim=16,
        decoder_num_layers=1, decoder_num_heads=2,
    )  # fmt: skip
    save_encoder(mae, tmp_path / "encoder.safetensors")
    network = start_from(small(), tmp_path / "encoder.safetensors", freeze=True)
    image = torch.randn(1, 1, 32, 32)
    torch.testing.assert_close(network.features(image)[:, 0], mae.encoder(image)[:, 1:])
    assert not any(weight.requires_grad for weight in network.encoder.parameters())
    assert all(weight.requires_grad for weight in network.decoder.parameters())
