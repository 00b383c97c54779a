"""How much of the reference reports is said, in words and in findings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from ignite.metrics import Bleu, RougeL
from monai.metrics import CumulativeIterationMetric
from numpy.typing import ArrayLike
from torch import Tensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.metrics.cider import cider_d
from monai_mae_ext.metrics.classification import bootstrap, with_interval
from monai_mae_ext.reports import ReportTokenizer

__all__ = ["ReportBLEU", "best_constant", "bleu", "mention_scores", "text_scores"]

ROUGE_BETA = 1.2


def bleu(predictions: Sequence[str], references: Sequence[str], n: int = 4) -> float:
    """Corpus BLEU of n-grams up to ``n`` without smoothing, in [0, 1], of cleaned reports.

    Counts are summed over all reports first; it is no mean of sentence scores. It equals that of the COCO captioning
    toolkit, which R2Gen and the HD X-ray code report.
    """
    metric = Bleu(ngram=n, smooth="no_smooth", average="micro")
    metric.update(([text.split() for text in predictions], [[text.split()] for text in references]))
    return float(metric.compute())  # type: ignore[arg-type]


def rouge_l(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Mean F of the longest common subsequence with beta 1.2, as the COCO captioning toolkit has it."""
    metric = RougeL(alpha=1 / (1 + ROUGE_BETA**2))
    metric.update(([text.split() for text in predictions], [[text.split()] for text in references]))
    return float(metric.compute()["Rouge-L-F"])


class NoSynonyms:
    """In the place of WordNet, which is no part of nltk and is downloaded apart."""

    def synsets(self, word: str) -> list:
        return []


def meteor_exact_and_stem(predictions: Sequence[str], references: Sequence[str]) -> float:
    """nltk's METEOR without its synonyms: words match as they are or by their Porter stems; a mean over reports.

    It lacks what needs WordNet or Java, so that no published METEOR can be compared with it.
    """
    try:
        from nltk.stem.porter import PorterStemmer
        from nltk.translate.meteor_score import single_meteor_score
    except ModuleNotFoundError as error:
        raise UserError("scores of reports need two more packages: pip install monai-mae-ext[report]") from error
    stemmer, synonyms = PorterStemmer(), NoSynonyms()
    pairs = zip(predictions, references, strict=True)
    return float(np.mean([
        single_meteor_score(reference.split(), prediction.split(), stemmer=stemmer, wordnet=synonyms)
        for prediction, reference in pairs
    ]))  # fmt: skip


def text_scores(predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Every score of cleaned reports by its exact name: BLEU-1 to 4, ROUGE-L, METEOR (exact and stem), CIDEr-D."""
    scores = {f"bleu_{n}": bleu(predictions, references, n) for n in range(1, 5)}
    return scores | {
        "rouge_l": rouge_l(predictions, references),
        "meteor_exact_and_stem": meteor_exact_and_stem(predictions, references),
        "cider_d": cider_d([text.split() for text in predictions], [text.split() for text in references]),
    }


def best_constant(references: Sequence[str], candidates: int = 100) -> str:
    """Of the most frequent ``references`` the one that, said of every study, has the highest BLEU-4."""
    common = [report for report, _ in Counter(references).most_common(candidates)]
    return max(common, key=lambda report: bleu([report] * len(references), references))


class ReportBLEU(CumulativeIterationMetric):
    """Corpus BLEU-4 of generated tokens against those of the references, of all processes' studies together.

    Call it with tokens ``(B, L)`` and reference tokens ``(B, T)``, neither longer than ``length``.
    """

    def __init__(self, tokenizer: ReportTokenizer, length: int) -> None:
        super().__init__()
        self.tokenizer, self.length = tokenizer, length

    def _compute_tensor(self, y_pred: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        return torch.stack([F.pad(tokens, (0, self.length - tokens.shape[1])) for tokens in (y_pred, y)], dim=1)

    def aggregate(self) -> float:
        if (pairs := self.get_buffer()) is None:
            return math.nan
        predictions, references = (
            [self.tokenizer.decode(tokens) for tokens in pairs[:, side].cpu()] for side in (0, 1)
        )
        return bleu(predictions, references)


def mention_scores(
    predicted: ArrayLike, present: ArrayLike, names: Sequence[str], groups: Sequence | None = None
) -> list[dict[str, Any]]:
    """Precision, recall and F1 of the findings that reports mention: a row each, and ``all`` (micro) last.

    Args:
        predicted, present: ``(N, L)``, 0 or 1.
        names: of the L findings.
        groups: patient of each study, for the 95 % bootstrap intervals of F1.

    Returns:
        Rows with ``finding``, ``present``, ``mentioned``, ``precision``, ``recall``, and ``f1`` with ``_low`` and
        ``_high``; None where undefined.
    """
    predicted, present = np.asarray(predicted, bool), np.asarray(present, bool)
    counts = np.stack([predicted & present, predicted, present])
    counts = np.concatenate([counts, counts.sum(-1, keepdims=True)], axis=-1)  # (3, N, L + 1), the sum last
    totals = counts.sum(1)
    draws = bootstrap(lambda weights: f1(np.tensordot(counts, weights, (1, 0))), len(predicted), groups)
    rows = []
    for number, name in enumerate([*names, "all"]):
        hits, mentioned, truly = (int(total) for total in totals[:, number])
        row: dict[str, Any] = {"finding": name, "present": truly, "mentioned": mentioned}
        row |= {"precision": hits / mentioned if mentioned else None, "recall": hits / truly if truly else None}
        rows.append(row | with_interval("f1", float(f1(totals)[number]), draws[:, number]))
    return rows


def f1(counts: np.ndarray) -> np.ndarray:
    """Of hits, mentioned and present ``(3, L)``; NaN where nothing is mentioned or present."""
    hits, mentioned, present = counts.astype(float)
    both = mentioned + present
    return np.divide(2 * hits, both, out=np.full_like(both, np.nan), where=both > 0)
