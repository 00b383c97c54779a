"""A pre-training that several processes share: what it ends in does not depend on how many they are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.bundles.conftest import TINY, run_bundle, shared_arguments, train_in_processes

NAME = "cxr_mae_pretraining"
CONFIGS = ["train.json", str(TINY)]
pytestmark = pytest.mark.bundle


def settings(films: Path, folder: Path) -> dict[str, object]:
    places = {"ckpt_dir": folder / "models", "output_dir": folder / "train"}
    return {"dataset_dir": films, "validation_fraction": 0.3, **places}


@pytest.fixture(scope="module")
def alone(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process."""
    folder = tmp_path_factory.mktemp("alone")
    done = run_bundle(NAME, "training", CONFIGS, **settings(films, folder))
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def assert_same_run(folder: Path, other: Path) -> None:
    """The same losses in every epoch, but for rounding, and at last the same weights."""
    curves = [
        pd.read_csv(run / "train" / "history.csv")[["epoch", "lr", "train_loss", "val_loss"]] for run in (folder, other)
    ]
    pd.testing.assert_frame_equal(*curves, rtol=1e-4, check_dtype=False)
    weights = [torch.load(run / "models" / "last.pt", weights_only=True)["network"] for run in (folder, other)]
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_walk_the_path_of_one(alone: Path, films: Path, tmp_path: Path, processes: int) -> None:
    done = train_in_processes(processes, NAME, CONFIGS, **settings(films, tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same_run(alone, tmp_path)


def test_a_killed_process_ends_the_job_which_another_number_of_them_resumes(films: Path, tmp_path: Path) -> None:
    keys = settings(films, tmp_path)
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        *shared_arguments(2, NAME, CONFIGS, epochs=100_000, **keys),
    ]
    with open(tmp_path / "log", "w") as log, subprocess.Popen(command, stdout=log, stderr=log) as job:
        while not (tmp_path / "models" / "last.pt").exists():
            assert job.poll() is None, (tmp_path / "log").read_text()[-3000:]
            time.sleep(0.1)
        ranks = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
        os.kill(int(ranks[1]), signal.SIGKILL)
        assert job.wait(timeout=60) == 1
    assert "Signal 9 (SIGKILL)" in (tmp_path / "log").read_text()
    epoch = torch.load(tmp_path / "models" / "last.pt", weights_only=True)["epoch"]
    done = run_bundle(NAME, "training", CONFIGS, epochs=epoch + 1, **keys)
    assert done.returncode == 0 and f"resumed behind epoch {epoch}" in done.stdout, done.stderr[-3000:]


def test_shared_weights_walk_the_path_of_whole_ones(alone: Path, films: Path, tmp_path: Path) -> None:
    """Two processes that share every weight out write a whole checkpoint, from which one process goes on."""
    keys = settings(films, tmp_path)
    steps = 3 * torch.load(alone / "models" / "last.pt", weights_only=True)["epoch_length"]
    done = train_in_processes(2, NAME, CONFIGS, ["fsdp.json"], epochs=2, lr_scheduler__t_total=steps, **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    done = run_bundle(NAME, "training", CONFIGS, **keys)
    assert done.returncode == 0 and "resumed behind epoch 2" in done.stdout, done.stderr[-3000:]
    assert_same_run(alone, tmp_path)
