"""Which findings a report mentions as present, by rules: word overlap says little of what a report claims.

Names are those of ChestX-ray14. The rules read English reports, sentence by sentence; a finding is absent within reach
of a negation, as in NegEx (Chapman et al., 2001), and possible findings count as present. They are exact on this
project's phantoms; on reports of a hospital nobody has validated them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from monai_mae_ext.reports.cleaning import clean_report, sentences_of

__all__ = ["MENTIONED", "find_mentions"]

HEART = r"(?:heart|cardiac silhouette|cardiomediastinal silhouette)"
LARGE = r"(?:enlarged|increased|large|prominent)"
MENTIONED = {
    "Atelectasis": r"atelecta\w+|volume loss|loss of volume",
    "Cardiomegaly": rf"cardiomegaly|{HEART}(?: size)? (?:\w+ )?(?:\w+ )?{LARGE}|{LARGE} {HEART}",
    "Consolidation": r"consolidat\w+",
    "Edema": r"o?edema|vascular congestion",
    "Effusion": r"effusions?|pleural fluid",
    "Emphysema": r"emphysema\w*",
    "Fibrosis": r"fibrosis|fibrotic",
    "Hernia": r"hernias?",
    "Infiltration": r"infiltrat\w+",
    "Mass": r"mass|masses",
    "Nodule": r"nodul\w+",
    "Pleural_Thickening": r"pleural thickening",
    "Pneumonia": r"pneumonias?",
    "Pneumothorax": r"pneumothora\w+",
}
"""Each finding, and the words that stand for it."""
NEGATION = re.compile(r"\b(?:no|not|without|neither|negative for|free of|clear of|absence of|resolved|ruled out)\b")
SCOPE_END = re.compile(r"\b(?:but|however|although|though|except|with (?!no\b))\b")
"""Where the reach of a negation ends before its sentence does."""


def find_mentions(report: str, findings: Sequence[str] = tuple(MENTIONED)) -> tuple[int, ...]:
    """1 for each of ``findings`` that a report, cleaned or not, says is there, else 0."""
    clauses = [clause for sentence in sentences_of(clean_report(report)) for clause in SCOPE_END.split(sentence)]
    affirmed = " . ".join(clause[: negation.start()] if (negation := NEGATION.search(clause)) else clause
                          for clause in clauses)  # fmt: skip
    return tuple(int(re.search(rf"\b(?:{MENTIONED[name]})\b", affirmed) is not None) for name in findings)
