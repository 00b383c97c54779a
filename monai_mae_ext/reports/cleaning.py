"""From dictated text to words and full stops, and back to something to read."""

from __future__ import annotations

import re

__all__ = ["clean_report", "readable_report", "sentences_of"]

DE_IDENTIFIED = re.compile(r"\bx{2,}\b|_{2,}|\[\*\*.*?\*\*\]")
"""What stands where something was taken out: ``XXXX`` in OpenI, ``___`` in MIMIC-CXR, ``[** **]`` in older MIMIC."""
ENUMERATION = re.compile(r"(?:^|(?<=[\s.]))\d{1,2}\)(?=\s)")
NUMBER_ALONE = re.compile(r"\d{1,2}")
"""A sentence that is no more, as ``1.`` before the first of several."""
WORDS = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]\w*|\.")
END = "."


def clean_report(text: str) -> str:
    """Words in lower case and full stops, parted by single blanks, much as R2Gen cleans reports.

    Marks of de-identification, numbers of enumerations and all other punctuation go; hyphens and slashes part words.
    Semicolons end sentences, ends of lines do not. Empty sentences go, the last one is ended.
    """
    text = re.sub("[?!;]", END, text.lower().replace("'", ""))
    text = ENUMERATION.sub(" ", DE_IDENTIFIED.sub(" ", text))
    sentences = [sentence.strip() for sentence in " ".join(WORDS.findall(text)).split(f" {END}")]
    sentences = [sentence.removeprefix(END).strip() for sentence in sentences]
    return " ".join(f"{sentence} {END}" for sentence in sentences if sentence and not NUMBER_ALONE.fullmatch(sentence))


def sentences_of(text: str) -> list[str]:
    """The sentences of a cleaned report, without their full stops."""
    return [sentence for part in f" {text} ".split(f" {END} ") if (sentence := part.strip())]


def readable_report(text: str) -> str:
    """A cleaned report with capitals and full stops where readers expect them."""
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences_of(text))
