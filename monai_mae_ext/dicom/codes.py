"""Coded terms for what the bundles find, so that other systems know a segment or a finding without reading its name."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

__all__ = ["Term", "finding_code", "term_of"]

SCT = codes.SCT
SIDES = {"right": SCT.Right, "left": SCT.Left}
STRUCTURES = {
    "spleen": SCT.Spleen,
    "kidney": SCT.Kidney,
    "gallbladder": SCT.Gallbladder,
    "esophagus": SCT.Esophagus,
    "liver": SCT.Liver,
    "stomach": SCT.Stomach,
    "aorta": SCT.Aorta,
    "inferior vena cava": SCT.InferiorVenaCava,
    "portal and splenic veins": SCT.Vein,
    "pancreas": SCT.Pancreas,
    "adrenal gland": SCT.AdrenalGland,
}
CHANGES = {"edema": SCT.Edema, "whole tumor": SCT.Neoplasm}
SICK = ("tumor", "edema", "core", "lesion")
"""Words in the names of labels that are no healthy structure."""
FINDINGS = {
    "cardiomegaly": SCT.Cardiomegaly,
    "effusion": SCT.PleuralEffusion,
    "infiltration": codes.DCM.Infiltrate,
    "mass": SCT.Mass,
    "nodule": SCT.Nodule,
    "pneumonia": Code("233604007", "SCT", "Pneumonia"),
    "pneumothorax": SCT.Pneumothorax,
    "edema": SCT.PulmonaryEdema,
}
OWN_SCHEME = "99MAE"


class Term(NamedTuple):
    """What a segment shows: ``category`` and ``kind``, and its side or None."""

    category: Code
    kind: Code
    side: Code | None


def term_of(name: str) -> Term:
    """The term of a label's name, such as "right kidney"; of one that is not known here, a private code."""
    first, _, rest = name.lower().partition(" ")
    side = SIDES.get(first)
    plain = rest if side else name.lower()
    if plain in STRUCTURES:
        return Term(SCT.AnatomicalStructure, STRUCTURES[plain], side)
    sick = any(word in plain for word in SICK)
    category = SCT.MorphologicallyAbnormalStructure if sick else SCT.BodyTissueStructure
    return Term(category, CHANGES.get(plain) or own_code(plain), side)


def finding_code(name: str) -> Code:
    """The code of a finding on a chest film, such as "Effusion"; of one that is not known here, a private code."""
    return FINDINGS.get(name.lower()) or own_code(name)


def own_code(name: str) -> Code:
    """A code of this project's private scheme: codes have 16 characters at most, meanings 64."""
    return Code(hashlib.sha256(name.encode()).hexdigest()[:16], OWN_SCHEME, name[:64])
