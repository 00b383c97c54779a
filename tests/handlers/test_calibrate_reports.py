"""Calibrating a report's plan on validation studies."""

from __future__ import annotations

import json
from types import SimpleNamespace

import torch

from monai_mae_ext.handlers import FitReportCalibration
from monai_mae_ext.metrics import Calibration
from monai_mae_ext.reports import ReportTokenizer

TOKENIZER = ReportTokenizer.fit(["a mass .", "an effusion .", "clear lungs ."] * 3, 20)


def fit(path, probabilities, reports):
    """What a pass over one batch leaves."""
    tokens = torch.stack([TOKENIZER.encode(report, 8) for report in reports])
    pred = SimpleNamespace(findings=torch.tensor(probabilities), features=torch.randn(len(reports), 4))
    state = SimpleNamespace(output={"pred": pred}, batch={"tokens": tokens})
    engine, handler = SimpleNamespace(state=state, data_loader=None), FitReportCalibration(path, TOKENIZER)
    for step in (handler.reset, handler.collect, handler.collect, handler.write):
        step(engine)
    return Calibration.load(path / "calibration.json", TOKENIZER.findings)


def test_the_threshold_is_that_of_the_best_f1(tmp_path):
    assert TOKENIZER.findings == ["Effusion", "Mass"]
    reports = ["a mass .", "an effusion .", "clear lungs .", "clear lungs ."]
    found = fit(tmp_path, [[0.2, 0.3], [0.35, 0.02], [0.1, 0.01], [0.15, 0.05]], reports)
    assert found.films == 8 and found.positives == (2, 2)
    raw = torch.tensor([0.2, 0.3]).logit()
    assert found.apply(raw)[0] < found.thresholds[0] == found.thresholds[1] < found.apply(raw)[1]


def test_reports_that_mention_nothing_are_said_to_calibrate_nothing(tmp_path, caplog):
    found = fit(tmp_path, [[0.2, 0.3]] * 4, ["clear lungs ."] * 4)
    assert found == Calibration.neutral(TOKENIZER.findings) and "cannot calibrate the plan" in caplog.text
    assert json.loads((tmp_path / "calibration.json").read_text())["films"] == 0
