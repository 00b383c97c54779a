from __future__ import annotations

import io
import json
import math
import sys
from contextlib import redirect_stdout
from functools import partial
from types import SimpleNamespace

import fire
import pytest
import torch

from monai_mae_ext.__main__ import VERBS
from monai_mae_ext.bench import arm as arms
from monai_mae_ext.bench import bench
from monai_mae_ext.bench.cases import ARMS, CASES, THEIRS, Case, TrainingStep
from monai_mae_ext.bench.flops import count_flops, matmul_flops_per_second
from monai_mae_ext.bench.memory import peak_mib, reset_peak
from monai_mae_ext.bench.report import Measurement, format_report, summarize
from monai_mae_ext.errors import UserError
from tests.processes import FORKS

CPU = torch.device("cpu")
bench_run = sys.modules["monai_mae_ext.bench.run"]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Its processes are forked from one that has imported MONAI, where a user's import it."""
    path = tmp_path_factory.mktemp("bench") / "bench.json"
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as printed:
        patch.setattr(arms, "multiprocessing", SimpleNamespace(get_context=lambda _: FORKS))
        patch.setattr(bench_run, "matmul_flops_per_second", partial(matmul_flops_per_second, size=256))
        fire.Fire(VERBS, ["bench", "--cases", "['smoke']", "--json", str(path), "--rounds", "1", "--batch_size", "3"])
    assert "matrix products at" in printed.getvalue()
    return json.loads(path.read_text())


def test_report_names_the_machine_and_every_arm(report):
    machine = report["machine"]
    assert machine["threads"] == torch.get_num_threads() and machine["torch"] == torch.__version__
    assert machine["processor"] and machine["matmul_flops_per_second"] > 0
    [case] = report["cases"]
    assert (case["case"], case["batch_size"]) == ("smoke", 3)
    assert [arm["arm"] for arm in case["arms"]] == list(ARMS)


def test_every_arm_has_positive_numbers_and_monai_is_the_yardstick(report):
    numbers = {"seconds", "seconds_min", "seconds_max", "peak_mib", "speedup", "memory_ratio", "flops_share"}
    monai, *ours = report["cases"][0]["arms"]
    for arm in (monai, *ours):
        assert set(arm) == numbers | {"arm"}
        assert all(arm[name] > 0 and math.isfinite(arm[name]) for name in numbers)
        assert arm["seconds_min"] <= arm["seconds"] <= arm["seconds_max"]
        assert arm["memory_ratio"] == pytest.approx(arm["peak_mib"] / monai["peak_mib"])
    assert monai["speedup"] == 1 and monai["memory_ratio"] == 1


def test_table_has_a_line_an_arm_and_the_machine(report):
    lines = format_report(report).splitlines()
    assert [line.split()[:3] for line in lines[2 : 2 + len(ARMS)]] == [["smoke", "3", arm] for arm in ARMS]
    assert report["machine"]["torch"] in lines[-1]


def test_speedup_and_share_are_medians_of_the_ratios_within_rounds():
    monai = Measurement([4.0, 40.0, 4.0], [20.0, 2.0, 20.0], peak_mib=100)
    ours = Measurement([2.0, 10.0, 1.0], [10.0, 2.0, 50.0], peak_mib=25)
    numbers = summarize(ours, monai, flops=10)
    assert numbers["speedup"] == 4.0  # of 2, 4 and 4; the medians' ratio would be 2
    assert (numbers["seconds"], numbers["seconds_min"], numbers["seconds_max"]) == (2.0, 1.0, 10.0)
    assert numbers["memory_ratio"] == 0.25 and numbers["flops_share"] == 0.5  # of .5, .5 and .2


def block_flops(queries: int, context: int, width: int, mlp: int) -> int:
    """Multiply-adds of one block forward: projections of queries and context, two attention products, the MLP."""
    return 2 * queries * width**2 + 2 * context * width**2 + 2 * queries * context * width + 2 * queries * width * mlp


@pytest.mark.parametrize("arm", ARMS)
def test_counted_flops_equal_the_formula(arm):
    """Two to a multiply-add, and a backward pass of twice the forward, less what needs no gradient of the image."""
    case = Case(64, 3, 24, 48, 2, 2, 16, 32, 2, 2)
    tokens, visible, patch = 16, 4, 256
    hidden = {"monai": tokens, "torch": tokens, "self": 12, "cross": 4}[arm]
    embedded = tokens if arm in THEIRS else visible
    encoder = 2 * block_flops(visible + 1, visible + 1, 24, 48)
    if arm == "cross":
        decoder = 2 * block_flops(hidden, visible + 1, 16, 32)
    else:
        decoder = 2 * block_flops(tokens + 1, tokens + 1, 16, 32)
    if arm == "self":  # of the last block's visible tokens only the projections are computed
        whole = block_flops(tokens + 1, tokens + 1, 16, 32)
        decoder += block_flops(hidden, tokens + 1, 16, 32) + (visible + 1) * 16**2 - whole
    predicted = tokens + 1 if arm == "monai" else hidden
    ends = (visible + 1) * 24 * 16 + predicted * 16 * patch
    embedding = embedded * patch * 24
    forward_and_backward = 6 * (encoder + decoder + ends) + 4 * embedding
    assert count_flops(case, arm) == case.batch_size * forward_and_backward


@pytest.mark.parametrize("arm", ARMS)
def test_step_changes_the_weights(arm):
    step = TrainingStep(CASES["smoke"], arm, CPU)
    before = {name: parameter.detach().clone() for name, parameter in step.network.named_parameters()}
    step()
    trained = {name: parameter for name, parameter in step.network.named_parameters() if parameter.grad is not None}
    assert trained and all(not torch.equal(before[name], parameter) for name, parameter in trained.items())


def test_arms_predict_as_many_tokens_as_they_say():
    hidden = {arm: TrainingStep(CASES["smoke"], arm, CPU).predict()[1] for arm in ARMS}
    assert hidden["monai"].sum(1).tolist() == hidden["torch"].sum(1).tolist() == [12, 12]
    assert hidden["self"].shape == (2, 12) and hidden["cross"].shape == (2, 4)


def test_peak_memory_remembers_what_was_freed():
    """In a process of its own: what earlier tests left behind may be freed meanwhile, and hide the peak."""
    process = FORKS.Process(target=allocate_and_free)
    process.start()
    process.join()
    assert process.exitcode == 0


def allocate_and_free():
    reset_peak(CPU)
    before = peak_mib(CPU)
    torch.ones(64 * 2**18).sum()
    assert peak_mib(CPU) - before > 60


def test_matmul_rate_is_positive():
    assert matmul_flops_per_second(CPU, size=64, repeats=1) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cases": "cxr_9"}, "unknown cases .*cxr_9.*cxr_224.*cxr_1280"),
        ({"cases": "smoke", "rounds": 0}, "rounds is at least 1"),
        ({"cases": "smoke", "batch_size": 0}, "batch_size is at least 1"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        bench(**arguments)


def test_the_plain_autoencoder_knows_which_tokens_it_hid():
    """Trained on one image it learns the visible patches' places: what it is given comes back where it was."""
    torch.manual_seed(0)
    step = TrainingStep(CASES["smoke"], "torch", CPU)
    for group in step.optimizer.param_groups:
        group["lr"] = 3e-3
    first = step.loss().item()
    for _ in range(150):
        step()
    assert step.loss().item() < 0.7 * first
