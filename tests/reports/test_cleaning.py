from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_mae_ext.reports import clean_report, readable_report, sentences_of


@pytest.mark.parametrize(
    ("dictated", "cleaned"),
    [
        ("The heart is XXXX normal in size.", "the heart is normal in size ."),
        ("Compared to ___, no change", "compared to no change ."),
        ("Compared to [**2101-1-1**] no change.", "compared to no change ."),
        ("1. Clear lungs.\n2. No effusion.", "clear lungs . no effusion ."),
        ("Nodule of 2.3 cm, right-sided; AP/PA.", "nodule of 2.3 cm right sided . ap pa ."),
        (
            "2) Unchanged since 2012. It measures 2.5. Grade is 2. Clear.",
            "unchanged since 2012 . it measures 2.5 . grade is 2 . clear .",
        ),
        ("No effusion..  Clear lungs?  ", "no effusion . clear lungs ."),
        ("There's no pneumothorax\nor effusion.", "theres no pneumothorax or effusion ."),
        ("XXXX.", ""),
        ("", ""),
    ],
)
def test_dictated_text_becomes_words_and_full_stops(dictated, cleaned):
    assert clean_report(dictated) == cleaned


@given(st.text(string.printable + "äé"))
def test_cleaning_is_done_once_and_for_all(text):
    cleaned = clean_report(text)
    assert clean_report(cleaned) == cleaned
    assert not cleaned or cleaned.endswith(" .")
    assert clean_report(readable_report(cleaned)) == cleaned


def test_readers_get_capitals():
    assert sentences_of("clear lungs . no effusion .") == ["clear lungs", "no effusion"]
    assert readable_report("clear lungs . nodule of 2.3 cm .") == "Clear lungs. Nodule of 2.3 cm."
    assert readable_report("") == ""
