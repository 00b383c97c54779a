"""What a bundle would run, and where it would write."""

from __future__ import annotations

import pytest

from monai_mae_ext.delivery import findings, lint
from tests.delivery.small_bundle import INFER, META, OVERLAY, TRAIN, assert_findings, change


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("evil.Loss", "outside monai, torch, ignite, numpy, scripts, monai_mae_ext; use what these have, or lint with"),
        ("monaievil.Loss", "--allow monaievil"),
        ("torch.os.system", "can do harm"),
        ("open", "can do harm"),
        ("torch.load", 'add "weights_only": true'),
        (3, "name a class"),
        ("scripts.losses.Loss", None),
        ("DiceLoss", None),
        ("$@network_def.forward", None),
    ],
)
def test_faults_of_targets(bundle, value, words):
    change(bundle / OVERLAY, "loss", {"_target_": value})
    assert_findings(findings(bundle), *([(OVERLAY, "loss#_target_", words)] if words else []))


def test_packages_can_be_allowed(bundle, capsys):
    change(bundle / OVERLAY, "loss", {"_target_": "good.Loss"})
    change(bundle / OVERLAY, "imports", ["$import good.losses"])
    assert len(findings(bundle)) == 2
    for package in ("good", "good."):
        assert findings(bundle, allow=[package]) == []
    assert len(findings(bundle, allow=["goo", "good.losses"])) == 1
    assert lint(str(bundle), allow="good") == 0  # as a command line hands over one word
    assert "no findings" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("$1 +", "does not parse"),
        ("$", "not one expression"),
        ("$x = 1", "not one expression"),
        ("$import os; os.getcwd()", "not one expression"),
        ("$" + "(" * 500, "does not parse"),
        ("$@importance * 2", 'has "import" beside a reference'),
        ("$@weight * 2", None),
        ("$eval('1')", "uses eval"),
        ("$open(@path)", "uses open"),
        ("$__import__('os').system('ls')", "uses __import__, system"),
        ("$getattr(@network, '__class__')", "uses __class__"),
        ("$(1).__class__", "uses __class__"),
        ("$os.popen('ls')", "uses popen"),
        ("$from os import system", "uses system"),
        ("$import subprocess", "uses subprocess"),
        ("$import requests", "imports requests, which is outside"),
        ("$torch.load(@path)", "add weights_only=True"),
        ("$torch.load(@path, weights_only=False)", "add weights_only=True"),
        ("$torch.load(@path, weights_only=True)", None),
        ("$torch.compile(@network.eval())", None),
        ("$import torch.distributed as dist", None),
        ("$@a#b#0 if @c else {**@d}", None),
        ("costs $open(1)", None),
    ],
)
def test_faults_of_expressions(bundle, value, words):
    change(bundle / OVERLAY, "item", value)
    assert_findings(findings(bundle), *([(OVERLAY, "item", words)] if words else []))


def test_nothing_in_a_bundle_is_run(bundle, tmp_path, monkeypatch, capsys):
    trap = tmp_path / "trap"
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "trapdoor.py").write_text(f"open({str(trap)!r}, 'w')")
    for file in (META, TRAIN, INFER, OVERLAY):
        change(bundle / file, "imports", ["$import trapdoor"])
        change(bundle / file, "a", f"$open('{trap}', 'w')")
        change(bundle / file, "b", {"_target_": "open", "file": str(trap), "mode": "w"})
        change(bundle / file, "c", {"_target_": "trapdoor.Network", "_disabled_": f"$open('{trap}', 'w')"})
    assert lint(str(bundle)) >= 20
    assert capsys.readouterr().out.count("uses open, which can do harm") == 8
    assert not trap.exists()


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("/data/ct", "/data/ct"),
        ("~/ct", "~/ct"),
        ("C:\\ct", "C:\\ct"),
        ("$os.path.join(@bundle_root, '/data')", "/data"),
        ("$'/data' + @name", "/data"),
        ("$f'/data/{@name}'", "/data/"),
        ("data/ct", None),
        ("/", None),
        ("https://host/data", None),
        ("$@bundle_root + '/data' + '/ct'", None),
        ("$f'{@bundle_root}/data'", None),
        ("$@name.split('/')[0]", None),
    ],
)
def test_absolute_paths(bundle, value, path):
    change(bundle / OVERLAY, "item", value)
    assert_findings(findings(bundle), *([(OVERLAY, "item", f"{path} is an absolute path; start")] if path else []))
