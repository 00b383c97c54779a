from __future__ import annotations

import itertools
import json
import sys
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from monai.bundle import ConfigParser

from monai_mae_ext.bench import plan
from monai_mae_ext.bench.plan import GIB, duration
from monai_mae_ext.bench.training_job import Line, Step, TrainingJob
from monai_mae_ext.errors import UserError
from tests.bundles.conftest import BUNDLES
from tests.docs.pages import TINY

DATA = {"cxr": "films", "ct": "volumes", "mri": "brains"}


@pytest.fixture(autouse=True)
def quick_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's rate from small products: how fast it is matters to no test."""
    module = sys.modules["monai_mae_ext.bench.plan"]
    monkeypatch.setattr(module, "matmul_flops_per_second", partial(module.matmul_flops_per_second, size=256))


@pytest.mark.parametrize("name", TINY)
def test_every_bundle_can_be_planned(name: str, request, tmp_path: Path, capsys) -> None:
    folder = request.getfixturevalue(DATA[name.partition("_")[0]])
    keys = {"dataset_dir": str(folder), "ckpt_dir": str(tmp_path / "models"), "output_dir": str(tmp_path / "train")}
    numbers = plan(
        str(BUNDLES / name), [str(TINY[name])], items=1000, seconds=0, json=tmp_path / "plan.json", batch_size=4, **keys
    )
    parser = ConfigParser(ConfigParser.load_config_files([BUNDLES / name / "configs" / "train.json", TINY[name]]))
    parser.read_meta(BUNDLES / name / "configs" / "metadata.json")
    parser.update({"dataset_dir": str(folder), "bundle_root": str(BUNDLES / name)})
    network = parser.get_parsed_content("network_def")
    assert numbers["parameters"] == sum(weight.numel() for weight in network.parameters())
    assert numbers["flops_an_item"] > numbers["parameters"], "each weight is used at least once"
    assert (numbers["items"], numbers["batch_size"], numbers["steps_an_epoch"]) == (1000, 4, 250)
    assert numbers["epoch_seconds"] == pytest.approx(250 * numbers["step_seconds"]) and numbers["step_seconds"] > 0
    assert numbers["training_seconds"] == pytest.approx(numbers["epochs"] * numbers["epoch_seconds"])
    assert [step["size"] for step in numbers["measured_steps"]] == [2, 4]
    assert numbers["item_bytes"] > 0 and numbers["load_seconds"] > 0
    assert json.loads((tmp_path / "plan.json").read_text())["parameters"] == numbers["parameters"]
    assert f"{numbers['parameters']:,} parameters" in capsys.readouterr().out
    assert not (tmp_path / "models").exists() and not (tmp_path / "train").exists(), "planning leaves nothing behind"


def test_another_machine_and_another_memory_change_what_depends_on_them(films: Path) -> None:
    name = "cxr_mae_pretraining"
    keys = {"dataset_dir": str(films), "seconds": 0, "memory_gib": 8}
    here = plan(str(BUNDLES / name), [str(TINY[name])], **keys)
    fast = plan(str(BUNDLES / name), [str(TINY[name])], rate=1e18, **keys)
    assert fast["step_seconds"] < here["step_seconds"] / 100
    assert fast["items_a_second"] > here["items_a_second"] * 100
    assert here["memory_limit"] == 8 * GIB


def test_a_training_from_disk_is_planned_as_one_and_leaves_nothing_there(films: Path, tmp_path: Path, capsys) -> None:
    name = "cxr_mae_pretraining"
    keys = {"dataset_dir": str(films), "cache_dir": str(tmp_path / "cache")}
    numbers = plan(str(BUNDLES / name), [str(TINY[name])], seconds=0, **keys)
    assert numbers["caches_on_disk"] and not list(tmp_path.iterdir())
    assert numbers["cache_bytes"] == numbers["item_bytes"] * numbers["items"]
    assert numbers["fill_cache_seconds"] > 0
    assert "GiB on disk" in capsys.readouterr().out


def test_most_steps_are_those_of_the_largest_batch(films: Path) -> None:
    name = "cxr_mae_pretraining"
    job = TrainingJob(BUNDLES / name, [str(TINY[name])], {"dataset_dir": str(films)})
    count = itertools.count()
    job.parsed("train#trainer#optimizer").register_step_post_hook(lambda *_: next(count))
    for seconds, expected in ((0, {2: 2, 4: 2}), (600, {2: 2, 4: 2, 8: 8})):
        before = next(count)
        assert [step.size for step in job.measure(seconds, batch_size=8)] == list(expected)
        assert next(count) - before - 1 == sum(expected.values())


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name a bundle's folder"):
        plan(str(tmp_path))


def test_a_larger_batch_takes_more_of_all_but_the_optimizer() -> None:
    assert Step(4, seconds=1.5, optimizer_seconds=0.5, bytes=0).seconds_of(64) == 0.5 + 16


@given(start=st.floats(0, 10), slope=st.floats(0, 10))
def test_costs_on_a_line_are_read_off_it(start: float, slope: float) -> None:
    line = Line.through({size: start + slope * size for size in (1, 2, 4)})
    assert line(100) == pytest.approx(start + 100 * slope, abs=1e-6)


def test_noise_makes_no_cost_negative() -> None:
    line = Line.through({1: 1.3, 2: 1.1})
    assert line.slope >= 0 and line.start >= 0


@pytest.mark.parametrize(("seconds", "text"), [(1.5, "1.5 seconds"), (600, "10.0 minutes"), (9e5, "10.4 days")])
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
