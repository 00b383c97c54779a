"""Which findings a report mentions as present, by rules: word overlap says little of what a report claims.

Names are those of ChestX-ray14. The rules read English reports, sentence by sentence. A finding is absent behind a
negation of its clause, or before one that looks back ("the effusion has resolved"); what only seems to negate ("no
change in the effusion") does not; possible findings count as present. The idea is that of NegEx (Chapman et al., 2001),
with fewer rules. They are exact on this project's phantoms; on reports of a hospital nobody has validated them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from monai_mae_ext.reports.cleaning import clean_report, sentences_of

__all__ = ["MENTIONED", "find_mentions"]

HEART = r"(?:heart|cardiac silhouette|cardiomediastinal silhouette)"
DEGREE = r"(?: (?:again|also|now|mildly|moderately|severely|markedly|slightly|borderline))*"
MENTIONED = {
    "Atelectasis": r"atelecta\w+|volume loss|loss of volume",
    "Cardiomegaly": (
        rf"cardiomegaly|{HEART}(?: size)? (?:is|are|appears|remains|looks){DEGREE} (?:enlarged|increased|large)|"
        rf"{HEART}{DEGREE} enlarged|(?:enlarged|large) {HEART}|enlargement of the {HEART}|{HEART} enlargement"
    ),
    "Consolidation": r"consolidat\w+",
    "Edema": r"o?edema|vascular congestion",
    "Effusion": r"effusions?|pleural fluid",
    "Emphysema": r"(?<!subcutaneous )emphysema\w*",
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
SEEMING = re.compile(
    r"\b(?:no|without)(?: \w+){0,3}? (?:changes?|increase|worsening)\b|\bnot (?:only|exclude)\b"
    r"|\b(?:cannot|can not) (?:be )?excluded?\b"
)
"""What negates something else than the finding behind it."""
NEGATION = re.compile(r"\b(?:no|not|without|neither|negative for|free of|clear of|absence of)\b")
LOOKING_BACK = re.compile(
    r"\b(?:not (?:seen|present|identified|visualized|demonstrated|evident|appreciated)|resolved|ruled out|excluded|"
    r"absent|unlikely)\b"
)
SCOPE_END = re.compile(r"\b(?:but|however|although|though|except|with (?!no\b))\b")
"""Where the reach of a negation ends before its sentence does."""


def find_mentions(report: str, findings: Sequence[str] = tuple(MENTIONED)) -> tuple[int, ...]:
    """1 for each of ``findings`` that a report, cleaned or not, says is there, else 0."""
    clauses = [clause for sentence in sentences_of(clean_report(report)) for clause in SCOPE_END.split(sentence)]
    affirmed = " . ".join(affirmed_part(SEEMING.sub(" ", clause)) for clause in clauses)
    return tuple(int(re.search(rf"\b(?:{MENTIONED[name]})\b", affirmed) is not None) for name in findings)


def affirmed_part(clause: str) -> str:
    """What is neither behind a negation nor before one that looks back."""
    if back := list(LOOKING_BACK.finditer(clause)):
        clause = clause[back[-1].end() :]
    negation = NEGATION.search(clause)
    return clause[: negation.start()] if negation else clause
