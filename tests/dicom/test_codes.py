"""Coded terms of labels and findings."""

from __future__ import annotations

import pytest

from monai_mae_ext.data import CHESTXRAY14_LABELS
from monai_mae_ext.dicom.codes import finding_code, term_of
from monai_mae_ext.phantoms import ORGANS
from monai_mae_ext.transforms import tumor_label_names


@pytest.mark.parametrize("name", ORGANS)
def test_every_organ_has_a_public_code(name):
    term = term_of(name)
    assert term.kind.scheme_designator == "SCT"
    assert (term.side.meaning if term.side else None) == next(
        (side.title() for side in ("right", "left") if name.startswith(side)), None
    )


@pytest.mark.parametrize("name", [*tumor_label_names("msd"), *CHESTXRAY14_LABELS, "x" * 99])
def test_codes_fit_their_value_representations(name):
    for code in (term_of(name).kind, finding_code(name)):
        assert 0 < len(code.value) <= 16 and 0 < len(code.meaning) <= 64


def test_names_without_a_public_code_do_not_share_a_private_one():
    assert finding_code("Fibrosis").value != finding_code("Hernia").value
    assert finding_code("Fibrosis").scheme_designator == "99MAE"
    assert finding_code("Effusion").meaning == "Pleural effusion"


def test_only_what_is_sick_is_called_abnormal():
    categories = {name: term_of(name).category.meaning for name in ("heart", "label 3", "enhancing tumor", "edema")}
    assert {name for name, meaning in categories.items() if "Abnormal" in meaning} == {"enhancing tumor", "edema"}
