"""Scores of reports. The golden values are what pycocoevalcap 1.2, the captioning toolkit, says of the same texts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from nltk.translate.bleu_score import corpus_bleu

from monai_mae_ext.metrics import ReportBLEU, bleu, mention_scores, text_scores
from monai_mae_ext.metrics.cider import cider_d
from monai_mae_ext.metrics.report import best_constant
from monai_mae_ext.reports import ReportTokenizer

REFERENCES = ["the heart is enlarged .", "no pleural effusion .", "there is a small left effusion ."]
PREDICTIONS = ["the heart is enlarged .", "no effusion .", "there is a large left effusion . ."]


def test_scores_are_those_of_the_captioning_toolkit():
    scores = text_scores(PREDICTIONS, REFERENCES)
    golden = {
        "bleu_1": 0.8749999998906252,
        "bleu_2": 0.7783117823912545,
        "bleu_3": 0.6715717279363804,
        "bleu_4": 0.5423782836860966,
        "rouge_l": 0.8817836505435003,
        "cider_d": 5.393244688063038,
    }  # the toolkit adds 1e-9 to BLEU's counts
    assert {name: scores[name] for name in golden} == pytest.approx(golden, abs=1e-9)


def test_bleu_is_that_of_nltk():
    predictions, references = PREDICTIONS[::2], REFERENCES[::2]  # of texts below four words nltk counts one 4-gram
    words = [[text.split() for text in texts] for texts in (predictions, references)]
    assert bleu(predictions, references) == pytest.approx(corpus_bleu([[text] for text in words[1]], words[0]))


def test_meteor_counts_exact_words_and_stems():
    scores = text_scores(["opacities seen"], ["opacity seen"])  # one chunk of two matches: 1 - .5 (1 / 2) ** 3
    assert scores["meteor_exact_and_stem"] == pytest.approx(1 - 0.5 * (1 / 2) ** 3)
    assert text_scores(["large effusion"], ["big effusion"])["meteor_exact_and_stem"] < 0.6  # no synonyms


def test_equal_and_strange_texts():
    same = text_scores(REFERENCES, REFERENCES)
    assert [same[f"bleu_{n}"] for n in range(1, 5)] == pytest.approx([1] * 4) and same["rouge_l"] == pytest.approx(1)
    assert cider_d([["a", "b"]], [["a", "b"]]) == 0  # one report has no rare words
    for strange in (["no words in common at all"], [""]):
        assert set(text_scores(strange, ["the heart is enlarged ."]).values()) == {0.0}


def test_bleu_is_of_the_corpus_clips_and_punishes_brevity():
    predictions, references = ["a b c d e", "x"], ["a b c d e", "y z"]
    singles = [bleu([p], [r]) for p, r in zip(predictions, references, strict=True)]
    assert bleu(predictions, references) != pytest.approx(np.mean(singles))
    assert bleu(["a a a a"], ["a b c d"], n=1) == pytest.approx(0.25)
    assert bleu(["a b"], ["a b c d"], n=1) == pytest.approx(math.exp(1 - 4 / 2))


def test_the_best_constant_report_is_the_one_that_scores_best():
    references = ["a b c d e f"] * 2 + ["a b c d x y"] * 3 + ["q"] * 4
    best = best_constant(references)
    assert bleu([best] * 9, references) == max(bleu([one] * 9, references) for one in set(references))


def test_the_metric_of_tokens_is_that_of_their_texts():
    tokenizer = ReportTokenizer.fit(REFERENCES + PREDICTIONS, 50, min_count=1)
    metric = ReportBLEU(tokenizer, 20)
    for prediction, reference in zip(PREDICTIONS, REFERENCES, strict=True):
        metric(tokenizer.encode(prediction, 18)[None, 1:], tokenizer.encode(reference, 20)[None, 1:])
    assert metric.aggregate() == pytest.approx(bleu(PREDICTIONS, REFERENCES))


def test_the_metric_of_no_report_is_undefined():
    assert math.isnan(ReportBLEU(ReportTokenizer.fit(REFERENCES, 50, min_count=1), 12).aggregate())


def test_mentions_are_counted_by_finding_and_over_all():
    predicted = [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]]
    present = [[1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]]
    first, second, third, total = mention_scores(predicted, present, ["A", "B", "C"])
    assert first["finding"] == "A" and first["precision"] == first["recall"] == first["f1"] == 0.5
    assert second["f1"] == second["f1_low"] == 1
    assert third["precision"] is third["recall"] is third["f1"] is None
    assert total["finding"] == "all" and total["present"] == total["mentioned"] == 4 and total["f1"] == 0.75
    assert total["f1_low"] <= 0.75 <= total["f1_high"]
