"""CIDEr-D (Vedantam et al., arXiv 1411.5726, section 4), as captioning toolkits compute it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

__all__ = ["cider_d"]

LONGEST = 4
SIGMA = 6.0
Vector = dict[tuple[str, ...], float]


def cider_d(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    """Mean over the reports, in [0, 10]; document frequencies are those of ``references``.

    It depends on the whole set of references: values of different sets cannot be compared, and of one report it is 0.

    Args:
        predictions, references: words of each report, one reference a prediction.
    """
    grams = [[count_grams(report, n) for report in references] for n in range(1, LONGEST + 1)]
    scores = [0.0] * len(references)
    for n, of_references in enumerate(grams, 1):
        documents = Counter(gram for counts in of_references for gram in counts)
        for number, (prediction, reference) in enumerate(zip(predictions, of_references, strict=True)):
            theirs = weigh(reference, documents, len(references))
            ours = weigh(count_grams(prediction, n), documents, len(references))
            lengths = len(prediction) - len(references[number])
            scores[number] += clipped_cosine(ours, theirs) * math.exp(-(lengths**2) / (2 * SIGMA**2))
    return 10 * sum(scores) / LONGEST / len(scores)


def count_grams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(n)), strict=False))


def weigh(counts: Counter[tuple[str, ...]], documents: Counter[tuple[str, ...]], n_documents: int) -> Vector:
    """Counts times the logarithm of how rare a gram is among the documents."""
    return {gram: count * math.log(n_documents / max(1, documents[gram])) for gram, count in counts.items()}


def clipped_cosine(ours: Vector, theirs: Vector) -> float:
    """Cosine in which a gram that is repeated counts no more than in the reference."""
    norms = math.hypot(*ours.values()) * math.hypot(*theirs.values())
    product = sum(min(value, theirs[gram]) * theirs[gram] for gram, value in ours.items() if gram in theirs)
    return product / norms if norms else 0.0
