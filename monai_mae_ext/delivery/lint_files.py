"""Rules on the folder itself: its name, the licences, and a model card with the facts that users need."""

from __future__ import annotations

import re
from collections.abc import Iterator

from monai_mae_ext.delivery.bundle_folder import BundleFolder, Finding

__all__ = ["check_files"]

CARD = "docs/README.md"
HEADING = re.compile(r"^(?:#{2,6}\s+(.+)|\*\*(.+?)\*\*.*)$", re.MULTILINE)
"""A section, or a paragraph that starts in bold."""
FACTS = {
    "intended use": "intended use",
    "data": "data",
    "limits": "limits|limitations",
    "biases": "bias|biases",
    "recipe": "recipe|model|training",
    "scores": "scores|results|performance|verified here",
    "citation": "cite|references|citation",
    "compute": "compute|hardware",
}
"""What a model card says, and words for it in headings."""


def check_files(bundle: BundleFolder) -> Iterator[Finding]:
    """Look at the folder's name, ``LICENSE`` and ``docs``."""
    yield from name(bundle)
    if not (bundle.root / "LICENSE").is_file():
        yield Finding("LICENSE", "", "is missing", "put the licence into a file of exactly this name")
    if not any((bundle.root / "docs" / name).is_file() for name in ("data_license.txt", "license.txt")):
        yield Finding("docs/data_license.txt", "", "is missing", "say which terms the data of the weights came under")
    yield from model_card(bundle)


def name(bundle: BundleFolder) -> Iterator[Finding]:
    name = bundle.root.name
    if name != name.lower():
        yield Finding(".", "", f"the name {name} has capitals", "use small letters: downloads ask for those")
    if "_v" in name.lower():
        cure = "rename it: MONAI takes what follows _v for a version"
        yield Finding(".", "", f"the name {name} has _v in it", cure)


def model_card(bundle: BundleFolder) -> Iterator[Finding]:
    card = bundle.root / CARD
    if not card.is_file():
        yield Finding(CARD, "", "is missing", "write a model card")
        return
    text = card.read_text(encoding="utf-8", errors="replace")
    headings = " | ".join(section or lead for section, lead in HEADING.findall(text))
    for fact, words in FACTS.items():
        if not re.search(rf"\b({words})\b", headings, re.IGNORECASE):
            yield Finding(
                CARD,
                fact,
                "is not in the model card",
                f"add a section or a paragraph that starts in bold: {words.replace('|', ' or ')}",
            )
