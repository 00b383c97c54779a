"""Greedy and beam search against searches that need no cleverness."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_mae_ext.errors import UserError
from monai_mae_ext.inferers import ReportInferer, write_reports
from monai_mae_ext.metrics import Calibration
from monai_mae_ext.reports import ReportTokenizer
from monai_mae_ext.reports.tokenizer import ABSENT, BEGIN, END, PADDING
from tests.networks.test_report import small

TOKENIZER = ReportTokenizer.fit(["a mass .", "an effusion ."] * 3, 12)
"""Five special tokens, two findings and five words."""
WORDS = len(TOKENIZER)


def network_of(seed):
    network = small(seed, vocab_size=WORDS, max_length=10)
    with torch.no_grad():  # sharper than fresh weights are, so that texts differ
        network.decoder.to_logits.weight.mul_(6)
        network.decoder.to_logits.bias.copy_(torch.randn(WORDS))
    return network


@torch.no_grad()
def plan_of(network, image):
    """Tokens and probabilities of one image's plan, by whole forward passes."""
    plan, probabilities = [], []
    for number in TOKENIZER.plan:
        logits = network(image, torch.tensor([[BEGIN, *plan]]))[0, -1]
        probabilities.append(float(logits[[ABSENT, number]].softmax(-1)[1]))
        plan.append(number if probabilities[-1] > 0.5 else ABSENT)
    return plan, probabilities


@torch.no_grad()
def log_probabilities(network, image, words):
    """Of each of ``words`` behind the plan, by whole forward passes."""
    plan, _ = plan_of(network, image)
    logits = network(image, torch.tensor([[BEGIN, *plan, *words[:-1]]]))[0, len(plan) :]
    logits[:, TOKENIZER.forbidden] = -torch.inf
    logits[0, END] = -torch.inf
    return logits.log_softmax(-1)[torch.arange(len(words)), list(words)]


def all_texts(length):
    """Every text of up to ``length`` tokens that ends, and every one that was cut off."""
    kinds = range(7, WORDS)
    for ended in range(1, length):  # no report is empty
        yield from ((*words, END) for words in itertools.product(kinds, repeat=ended))
    yield from itertools.product(kinds, repeat=length)


@given(seed=st.integers(0, 1000), penalty=st.sampled_from([0.0, 1.0]))
@settings(max_examples=10, deadline=None)
def test_a_wide_beam_finds_the_best_of_all_texts(seed, penalty):
    network, image = network_of(seed), torch.randn(1, 1, 32, 32)
    texts = list(all_texts(3))
    scores = [float(log_probabilities(network, image, words).sum()) / len(words) ** penalty for words in texts]
    found = write_reports(network, image, TOKENIZER, beams=len(texts), max_length=3, length_penalty=penalty)
    words = [token for token in found.tokens[0].tolist() if token != PADDING]
    assert scores[texts.index(tuple(words))] == pytest.approx(max(scores), abs=1e-4)
    torch.testing.assert_close(
        found.log_probabilities[0, : len(words)], log_probabilities(network, image, words), rtol=1e-3, atol=1e-4
    )


@given(seed=st.integers(0, 1000), batch=st.integers(1, 3))
@settings(max_examples=10, deadline=None)
def test_one_beam_takes_the_most_probable_word_each_time(seed, batch):
    network, image = network_of(seed), torch.randn(batch, 1, 32, 32)
    found = write_reports(network, image, TOKENIZER, beams=1)
    for number in range(batch):
        one, words = image[number : number + 1], []
        plan, probabilities = plan_of(network, one)
        assert found.findings[number].tolist() == pytest.approx(probabilities, abs=1e-4)
        while len(words) < 7 and END not in words:
            with torch.no_grad():
                logits = network(one, torch.tensor([[BEGIN, *plan, *words]]))[0, -1]
            logits[TOKENIZER.forbidden + ([] if words else [END])] = -torch.inf
            words.append(int(logits.argmax()))
        tokens = found.tokens[number].tolist()
        assert tokens[: len(words)] == words and set(tokens[len(words) :]) <= {PADDING}
        assert (found.log_probabilities[number, len(words) :] == 0).all()
        assert (found.attention[number, len(words) :] == 0).all()


@given(seed=st.integers(0, 1000), beams=st.integers(2, 4))
@settings(max_examples=10, deadline=None)
def test_a_study_gets_the_same_report_alone_and_in_a_batch(seed, beams):
    network, image = network_of(seed), torch.randn(3, 1, 32, 32)
    together = write_reports(network, image, TOKENIZER, beams=beams)
    for number in range(3):
        alone = write_reports(network, image[number : number + 1], TOKENIZER, beams=beams)
        length = alone.tokens.shape[1]
        assert together.tokens[number, :length].tolist() == alone.tokens[0].tolist()
        torch.testing.assert_close(together.attention[number, :length], alone.attention[0], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(together.features[number], alone.features[0], rtol=1e-3, atol=1e-4)


def test_numbers_that_the_tokenizer_has_not_are_never_written():
    network = network_of(0)
    with torch.no_grad():
        network.decoder.to_logits.bias[-1] = 100
    image = torch.randn(2, 1, 32, 32)
    assert (write_reports(network, image, TOKENIZER).tokens == WORDS - 1).all()
    fewer = ReportTokenizer.fit(["a mass .", "an effusion ."] * 3, 11)
    assert len(fewer) == WORDS - 1 and (write_reports(network, image, fewer).tokens < WORDS - 1).all()


def test_a_calibration_decides_what_the_plan_holds():
    network, image = network_of(0), torch.randn(2, 1, 32, 32)
    plain = write_reports(network, image, TOKENIZER)
    for threshold in (0.0, 1.0, None):
        calibration = Calibration(tuple(TOKENIZER.findings), 4.0, (threshold,) * 2, 0, (0, 0))
        found = write_reports(network, image, TOKENIZER, calibration)
        torch.testing.assert_close(torch.logit(found.findings[:, 0]), torch.logit(plain.findings[:, 0]) / 4)
        plan = torch.tensor([[BEGIN, *(TOKENIZER.plan if threshold == 0 else [ABSENT, ABSENT])]] * 2)
        with torch.no_grad():
            logits = network(image, plan)[:, -1]
        logits[:, [*TOKENIZER.forbidden, END]] = -torch.inf
        beam = write_reports(network, image, TOKENIZER, calibration, beams=1)
        assert beam.tokens[:, 0].tolist() == logits.argmax(-1).tolist()


def test_damaged_weights_are_told():
    network = network_of(0)
    with torch.no_grad():
        network.project.weight[0, 0] = torch.nan
    with pytest.raises(UserError, match="not finite"):
        write_reports(network, torch.randn(2, 1, 32, 32), TOKENIZER)


def test_lengths_are_limited_and_the_network_is_left_as_it_was():
    network = network_of(0).train()
    found = ReportInferer(TOKENIZER, beams=2, max_length=2)(torch.randn(2, 1, 32, 32), network, torch.zeros(2, 5))
    assert found.tokens.shape[1] <= 2 and network.training
    for wrong in ({"beams": 0}, {"max_length": 0}, {"max_length": 8}):
        with pytest.raises(UserError, match="beams is 1 or more and max_length 1 to 7"):
            write_reports(network, torch.randn(1, 1, 32, 32), TOKENIZER, **wrong)
