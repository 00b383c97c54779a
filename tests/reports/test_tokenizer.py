from __future__ import annotations

import pytest
import torch

from monai_mae_ext.errors import UserError
from monai_mae_ext.reports import ReportTokenizer
from monai_mae_ext.reports.tokenizer import ABSENT

REPORTS = ["the heart is large .", "the lungs are clear .", "the heart is normal . no effusion ."] * 3


def test_words_are_numbered_by_how_often_they_occur():
    tokenizer = ReportTokenizer.fit(REPORTS, 100)
    assert len(tokenizer) == 5 + 1 + len(set(" ".join(REPORTS).split()))
    assert tokenizer.encode("the . is", 6).tolist()[:5] == [1, 4, 7, 6, 9]  # in 9, 9 and 6 reports, as "heart" is
    assert tokenizer.encode("the heart", 7).tolist()[4:] == [2, 0, 0]


def test_a_plan_says_what_the_report_will_say_of_each_finding():
    tokenizer = ReportTokenizer.fit([*REPORTS, *["a mass ."] * 3, "a nodule ."], 100)
    assert tokenizer.findings == ["Cardiomegaly", "Mass"], "effusions are denied, nodules rare"
    plans = {report: tokenizer.encode(report, 9)[1:3].tolist() for report in ("a mass .", REPORTS[0], REPORTS[1])}
    heart, mass = tokenizer.plan
    assert list(plans.values()) == [[ABSENT, mass], [heart, ABSENT], [ABSENT, ABSENT]]
    assert tokenizer.words([heart, mass, ABSENT]) == [] and {heart, mass, ABSENT} < set(tokenizer.forbidden)


def test_a_report_comes_back_as_it_was(tmp_path):
    tokenizer = ReportTokenizer.fit(REPORTS, 100)
    tokenizer.save(tmp_path / "tokenizer.json")
    again = ReportTokenizer.load(tmp_path / "tokenizer.json", 100)
    for report in REPORTS:
        tokens = tokenizer.encode(report, 20)
        assert again.decode(tokens) == report and torch.equal(again.encode(report, 20), tokens)
    assert again.decode(tokenizer.encode("the heart is normal .", 5)) == "the heart is"  # cut off, without an end
    assert again.decode([6, 7, 2, 7, 7]) == ". the"


def test_rare_words_and_words_beyond_the_vocabulary_are_unknown():
    reports = [*REPORTS, "a hamartoma ."]
    tokenizer = ReportTokenizer.fit(reports, 9)
    assert len(tokenizer) == 9
    assert tokenizer.encode("the hamartoma", 5).tolist() == [1, 4, 7, 3, 2]
    assert "hamartoma" not in ReportTokenizer.fit(reports, 100).words(range(5, 14))
    with pytest.raises(UserError, match="lower min_count"):
        ReportTokenizer.fit(["one", "two"], 100)


def test_a_run_goes_on_with_the_tokenizer_it_began_with(tmp_path):
    path = tmp_path / "models" / "tokenizer.json"
    first = ReportTokenizer.load_or_fit(path, REPORTS, 100)
    assert not path.exists()
    first.save(path)
    (path.parent / "last.pt").touch()
    second = ReportTokenizer.load_or_fit(path, ["other words altogether ."] * 3, 100)
    assert second.encode("the heart", 5).tolist() == first.encode("the heart", 5).tolist()
    with pytest.raises(UserError, match=r"tokenizer\.json has 17 tokens, the network 9: set the vocab_size"):
        ReportTokenizer.load_or_fit(path, REPORTS, 9)
    (path.parent / "last.pt").unlink()  # nothing was trained with it
    assert ReportTokenizer.load_or_fit(path, ["other words altogether ."] * 3, 100).words([6, 7]) == [
        "altogether",
        "other",
    ]


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="train with this bundle first"):
        ReportTokenizer.load(tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="is no tokenizer"):
        ReportTokenizer.load(tmp_path / "tokenizer.json")
    from tokenizers import Tokenizer, models

    Tokenizer(models.WordLevel({"a": 0, "<unk>": 1}, unk_token="<unk>")).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match="tokenizer of something else"):
        ReportTokenizer.load(tmp_path / "tokenizer.json")
