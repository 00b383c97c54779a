from __future__ import annotations

import json
import subprocess
import sys

import pytest

from monai_mae_ext.bundle import check_overrides, start_bundle
from monai_mae_ext.errors import UserError

MAIN = {
    "epochs": 2,
    "image_size": 32,
    "train": {"trainer": {"max_epochs": "@epochs"}},
    "handlers": [],
    "run": ["$None"],
}
OVERLAY = {"train#trainer#max_epochs": 5, "+handlers": [1], "extra": 1}


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "my bundle" / "configs"
    folder.mkdir(parents=True)
    for name, content in (("train", MAIN), ("overlay", OVERLAY)):
        (folder / f"{name}.json").write_text(json.dumps(content))
    return str(folder / "train.json"), str(folder / "overlay.json")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--epochs", "3"],
        ["--epochs=3"],
        ["--train#trainer#max_epochs", "3"],
        ["--train::trainer::max_epochs", "3"],
        ["--image-size", "64"],
        ["--+handlers", "[2]"],
        ["--logging_file", "logging.conf", "--meta_file=metadata.json"],
        ["--", "--trace"],
    ],
    ids=" ".join,
)
def test_overrides_of_keys_that_exist_pass(files, words):
    check_overrides(["training", "--config_file", files[0], *words])
    check_overrides(["training", f"--config_file={files[0]}", *words])


@pytest.mark.parametrize("spelling", ["['{}', '{}']", '["{}","{}"]'])
def test_a_list_of_config_files_is_read_as_monai_reads_it(files, spelling):
    check_overrides(["--config_file", spelling.format(*files), "--extra", "2", "--epochs", "1", "--handlers", "[]"])
    with pytest.raises(UserError, match="no config file has a key 'extra'"):
        check_overrides(["--config_file", files[0], "--extra", "2"])


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--epoch", "no config file has a key 'epoch': did you mean --epochs?"),
        ("--imagesize", "no config file has a key 'imagesize': did you mean --image_size?"),
        ("--trian#trainer#max_epochs", "no config file has a key 'trian': did you mean --train?"),
        ("--zzz", "no config file has a key 'zzz'"),
    ],
)
def test_a_misspelt_override_is_refused_with_a_hint(files, word, message):
    for words in ([word, "3"], [f"{word}=3"]):
        with pytest.raises(UserError) as caught:
            check_overrides(["--config_file", files[0], *words])
        assert str(caught.value) == message


def test_without_config_file_there_is_nothing_to_compare_with():
    check_overrides(["training", "--workflow", "x"])


def test_other_commands_than_run_are_left_alone(files, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "argv", ["monai.bundle", "verify_metadata", "--config_file", files[0], "--epoch", "3"])
    start_bundle()
    monkeypatch.setattr(sys, "argv", ["monai.bundle", "run", "--config_file", files[0], "--epoch", "3"])
    with pytest.raises(UserError, match="did you mean --epochs"):
        start_bundle()


def test_a_bundle_run_ends_with_one_line(files):
    start = {
        "imports": ["$import monai_mae_ext", "$import monai_mae_ext.bundle"],
        "run": ["$monai_mae_ext.bundle.start_bundle()"],
    }
    with open(files[0], "w") as file:
        json.dump({**MAIN, **start}, file)
    command = [sys.executable, "-W", "ignore", "-m", "monai.bundle", "run", "--config_file", files[0]]
    result = subprocess.run([*command, "--epoch", "3"], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "error: no config file has a key 'epoch': did you mean --epochs?"
    assert "Traceback" not in result.stderr
    assert subprocess.run([*command, "--epochs", "3"], capture_output=True).returncode == 0
