"""Names of MRI sequences: data sets spell the same one in many ways."""

from __future__ import annotations

import re

__all__ = ["ALIASES", "modality_name"]

ALIASES = {
    "FLAIR": ("flair", "t2f", "t2flair"),
    "T1w": ("t1", "t1w", "t1n"),
    "T1gd": ("t1gd", "t1ce", "t1c", "t1cpost", "t1post"),
    "T2w": ("t2", "t2w"),
}
"""Our name of a sequence (the Decathlon's, more or less), and how others write it, in lower case without punctuation;
BraTS changed from t1, t1ce, t2, flair to t1n, t1c, t2w, t2f in 2023."""
NAMES = {alias: name for name, aliases in ALIASES.items() for alias in aliases}


def modality_name(spelling: str) -> str:
    """Return our name of a sequence; one that is not known keeps its spelling."""
    return NAMES.get(re.sub(r"[^a-z0-9]", "", spelling.lower()), spelling)
