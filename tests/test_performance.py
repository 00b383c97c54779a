"""What docs/performance.md is made by, in small."""

from __future__ import annotations

import json
import os
import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import film_rate, performance, plan_check, step_levers
from benchmarks.own_process import ProcessDied, in_own_process
from benchmarks.self_pretraining import bundle
from monai_mae_ext.bench import arm
from monai_mae_ext.errors import UserError
from monai_mae_ext.handlers.history import read_history
from tests.processes import FORKS

PAGE = """# Page

```bash
python -m platform
```

```bash
python -m json.tool first.json \\
    --compact
```

<!-- output -->
old
<!-- end -->

Text.
"""


def test_a_page_is_renewed_below_its_commands(tmp_path: Path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    Path("page.md").write_text(PAGE)
    Path("first.json").write_text('["|"]')
    with pytest.raises(UserError, match="no command of page.md has 'pip' in it"):
        performance.main("page.md", only="pip")
    performance.main("page.md", only="json")
    renewed = PAGE.replace("\nold\n", '\n\n```text\n["|"]\n```\n\n')
    assert Path("page.md").read_text() == renewed
    performance.main("page.md")
    assert Path("page.md").read_text() == renewed, "the same again"
    printed = capfd.readouterr().out
    assert printed.count("platform") == 1 and printed.count("json.tool") == 2


def test_what_was_written_meanwhile_is_kept(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("page.md").write_text(PAGE)

    def write(more: str) -> str:
        Path("page.md").write_text(
            Path("page.md").read_text().replace("Text.", "Other text.").replace("--compact", more)
        )
        return "printed"

    monkeypatch.setattr(performance, "run", lambda commands: write("--compact"))
    performance.main("page.md", only="json")
    assert "Other text." in Path("page.md").read_text() and "printed" in Path("page.md").read_text()
    monkeypatch.setattr(performance, "run", lambda commands: write("--indent 1"))
    with pytest.raises(UserError, match="this block of page.md was changed while its commands ran"):
        performance.main("page.md", only="json")


def test_tables_stay_tables() -> None:
    assert (
        performance.rendered(["| a |", "|---|", "", "done", "| b |"]) == "| a |\n|---|\n\n```text\ndone\n```\n\n| b |"
    )


def test_a_process_that_dies_says_so() -> None:
    assert in_own_process(abs, -3) == 3
    with pytest.raises(ProcessDied, match="_exit ended with exit code 3") as death:
        in_own_process(os._exit, 3)
    assert death.value.exit_code == 3


@pytest.mark.bundle
@pytest.mark.usefixtures("forked_bundles")
def test_a_plan_is_compared_with_a_training(tmp_path: Path, films: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(plan_check, "PHANTOMS", {"cxr": lambda folder: folder.symlink_to(films)})
    (tmp_path / "data").mkdir()
    plan_check.main(str(tmp_path), seconds=0.1, rounds=1, bundles="bundles/cxr_mae_pretraining", batch_size=4)
    (row,) = json.loads((tmp_path / "report.json").read_text())
    ((planned, real),) = row["seconds"]
    assert f"| cxr_mae_pretraining | {planned:.3f} s | {real:.3f} s | " in capsys.readouterr().out
    assert len(read_history(tmp_path / "cxr_mae_pretraining" / "0" / "train" / "history.csv")) == 4


@pytest.mark.bundle
@pytest.mark.usefixtures("forked_bundles")
def test_films_are_read_from_files_to_a_table(tmp_path: Path, films: Path, capsys) -> None:
    places = {"dataset_dir": films, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "train"}
    keys = {"epochs": 1, "val_interval": 1, "validation_fraction": 0.4}
    bundle(film_rate.BUNDLE, "training", ("train", "quick"), tmp_path / "log.txt", **places, **keys)
    film_rate.main(str(tmp_path / "models"), films=3, drawn=2, size=128)
    assert re.search(r"one film \d+\.\d s, 3 films \d+\.\d s\n\d+ films a minute, ", capsys.readouterr().out)


def test_levers_are_compared_with_doing_without(monkeypatch, capsys) -> None:
    """The processes of both sides are forked from one that has imported MONAI."""
    monkeypatch.setattr(arm, "multiprocessing", SimpleNamespace(get_context=lambda _: FORKS))
    builds = (step_levers.fused_optimizer, step_levers.fused_attention, step_levers.checkpointing)
    levers = [step_levers.Lever(build.__name__, build, "smoke") for build in builds]
    levers.append(step_levers.Lever("kept_memory", partial(step_levers.kept_memory, batch_size=1), "smoke"))
    monkeypatch.setattr(step_levers, "LEVERS", levers)
    step_levers.main(rounds=1)
    machine, *table = capsys.readouterr().out.splitlines()
    assert "matrix products" in machine and len(table) == 2 + len(levers)
    assert all(re.match(r"\| \w+ \| smoke \| .* s \| .* s \| .*x \(.* to .*\) \|", line) for line in table[2:])
