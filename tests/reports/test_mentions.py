from __future__ import annotations

import pytest

from monai_mae_ext.data import CHESTXRAY14_LABELS
from monai_mae_ext.reports import MENTIONED, find_mentions


def mentioned(report):
    return {name for name, found in zip(MENTIONED, find_mentions(report), strict=True) if found}


@pytest.mark.parametrize(
    ("report", "findings"),
    [
        ("The heart is enlarged.", {"Cardiomegaly"}),
        ("Heart size is mildly enlarged. Enlarged cardiac silhouette.", {"Cardiomegaly"}),
        ("The heart is normal in size. No cardiomegaly.", set()),
        ("The heart is not enlarged.", set()),
        ("Small left effusion, no pneumothorax.", {"Effusion"}),
        ("There is neither pneumothorax nor pleural effusion.", set()),
        ("No pneumothorax. There is a large right pleural effusion.", {"Effusion"}),
        ("No effusion but a nodule in the left upper zone.", {"Nodule"}),
        ("No consolidation, effusion or mass.", set()),
        ("Consolidation without effusion.", {"Consolidation"}),
        ("A mass with atelectasis behind it, but no effusion.", {"Mass", "Atelectasis"}),
        ("Lungs are free of infiltrates. Linear atelectases.", {"Atelectasis"}),
        ("No pneumonia. Pulmonary oedema with bilateral effusions.", {"Edema", "Effusion"}),
        ("Possible pneumonia; emphysematous changes, fibrotic strands, hiatal hernia, pleural thickening.",
         {"Pneumonia", "Emphysema", "Fibrosis", "Hernia", "Pleural_Thickening"}),
        ("The right pleural effusion has resolved.", set()),
        ("Pneumonia is ruled out. Pneumothorax is not seen.", set()),
        ("Effusion has resolved but a nodule is seen.", {"Nodule"}),
        ("No significant interval change in bilateral pleural effusions.", {"Effusion"}),
        ("No change in the moderate left pneumothorax.", {"Pneumothorax"}),
        ("This does not exclude pneumonia.", {"Pneumonia"}),
        ("Heart size normal, increased interstitial markings", set()),
        ("Normal heart, large left pleural effusion", {"Effusion"}),
        ("Subcutaneous emphysema", set()),
        ("Enlargement of the cardiac silhouette. Heart size remains moderately enlarged", {"Cardiomegaly"}),
        ("No pneumothorax; small left pleural effusion.", {"Effusion"}),
        ("No pneumothorax since 2012. Small left pleural effusion.", {"Effusion"}),
        ("A massive problem, no findings", set()),
        ("", set()),
    ],
)  # fmt: skip
def test_negations_and_their_reach(report, findings):
    assert mentioned(report) == findings


def test_all_labels_of_chestxray14_are_known_and_can_be_chosen():
    assert sorted(MENTIONED) == sorted(CHESTXRAY14_LABELS)
    assert find_mentions("A nodule. No effusion.", ["Effusion", "Nodule"]) == (0, 1)
