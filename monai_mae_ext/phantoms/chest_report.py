"""The report that a reader would dictate of a phantom film: what it shows, where, and what it does not show."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from monai_mae_ext.phantoms.chest_lesions import Lesion

__all__ = ["phantom_report"]

POSITIVE = {
    "Cardiomegaly": ("The heart is enlarged.", "There is cardiomegaly.", "The cardiac silhouette is enlarged."),
    "Consolidation": (
        "There is a dense consolidation in the {side} {zone} zone.",
        "The {side} {zone} zone is consolidated, and its vessels are hidden.",
        "Airspace consolidation is seen in the {zone} zone of the {side} lung.",
    ),
    "Infiltration": (
        "Patchy infiltrates are seen on both sides, more on the {side}, with vessels still visible.",
        "There is hazy infiltration of both lungs, mostly in the {side} {zone} zone.",
        "Bilateral patchy infiltration, predominantly {side}.",
    ),
    "Mass": (
        "A large rounded mass lies in the {side} {zone} zone.",
        "There is a mass in the {zone} zone of the {side} lung.",
        "Rounded mass in the {side} {zone} zone, suspicious for a tumour.",
    ),
    "Nodule": (
        "A small nodule is seen in the {side} {zone} zone.",
        "There is a small pulmonary nodule in the {zone} zone of the {side} lung.",
        "Nodular opacity in the {side} {zone} zone.",
    ),
    "Atelectasis": (
        "The {side} hemidiaphragm is raised, with plate-like atelectasis above it.",
        "There is {side} basal atelectasis with loss of volume.",
        "Linear atelectasis at the {side} lung base.",
    ),
    "Effusion": (
        "There is a {size} {side} pleural effusion.",
        "A {size} pleural effusion blunts the {side} costophrenic angle.",
        "{size} effusion on the {side}.",
    ),
    "Pneumothorax": (
        "There is a {size} {side} pneumothorax.",
        "A {size} pneumothorax is seen at the {side} apex.",
        "{size} {side} apical pneumothorax.",
    ),
}
"""Findings in the order in which they are dictated, with the usual phrasing first."""
NORMAL = (
    "No acute cardiopulmonary abnormality.",
    "The heart is normal in size and the lungs are clear.",
    "Normal chest film.",
)
CLEAR_LUNGS = ("The lungs are clear.", "No focal opacity is seen in the lungs.")
NO_FLUID_OR_AIR = ("No pleural effusion or pneumothorax.", "There is neither pneumothorax nor pleural effusion.")
NO_EFFUSION = ("No pleural effusion.", "There is no pleural effusion.")
NO_PNEUMOTHORAX = ("No pneumothorax.", "There is no evidence of pneumothorax.")
VIEWS = {"AP": ("Portable AP view.", "AP view of the chest."), "PA": ("PA view.", "Frontal PA view of the chest.")}
USUAL = 0.7
"""How often the first phrasing is used."""
OF_THE_LUNGS = {"Consolidation", "Infiltration", "Mass", "Nodule", "Atelectasis"}


def phantom_report(lesions: Sequence[Lesion], view: str, rng: np.random.Generator) -> str:
    """Dictate a film.

    Args:
        lesions: what it shows; all of it is mentioned, with side, zone or size.
        view: "PA" or "AP".
        rng: chooses among phrasings.

    Returns:
        Sentences in order: the view, findings, and what of lungs and pleura is normal beside them.
    """
    known = {lesion.finding: lesion for lesion in lesions}
    phrasings: list[tuple[Sequence[str], Lesion | None]] = [(VIEWS[view], None)]
    phrasings += [(POSITIVE[finding], known[finding]) for finding in POSITIVE if finding in known]
    phrasings += [(choices, None) for choices in (_normal_parts(known.keys()) if known else [NORMAL])]
    return " ".join(_choose(choices, lesion, rng) for choices, lesion in phrasings)


def _normal_parts(findings: Collection[str]) -> list[Sequence[str]]:
    """What is said of the parts of an ill chest that are well."""
    parts: list[Sequence[str]] = [] if OF_THE_LUNGS.intersection(findings) else [CLEAR_LUNGS]
    if "Effusion" not in findings:
        parts.append(NO_EFFUSION if "Pneumothorax" in findings else NO_FLUID_OR_AIR)
    elif "Pneumothorax" not in findings:
        parts.append(NO_PNEUMOTHORAX)
    return parts


def _choose(choices: Sequence[str], lesion: Lesion | None, rng: np.random.Generator) -> str:
    place = 0 if rng.random() < USUAL else int(rng.integers(1, len(choices)))
    sentence = choices[place]
    if lesion is not None:
        sentence = sentence.format(side=lesion.side, zone=lesion.zone, size=lesion.size)
    return sentence[0].upper() + sentence[1:]
