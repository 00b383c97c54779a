"""The examples: federated pre-training run in small, and what starts jobs on clusters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from monai_mae_ext.bundle import check_overrides
from tests.bundles.conftest import TINY, run_bundle
from tests.processes import run_module

ROOT = Path(__file__).parents[2]
NAME = "cxr_mae_pretraining"
pytestmark = pytest.mark.bundle


def test_sites_with_the_same_images_walk_the_path_of_one(films: Path, tmp_path: Path) -> None:
    sites, configs = str([str(films)] * 2), str([str(TINY)])
    words = ["--sites", sites, "--configs", configs, "--out", str(tmp_path / "all"), "--rounds", "2"]
    done = run_module("examples.federated_pretraining", words, ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    keys = {"dataset_dir": films, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "train", "epochs": 2}
    assert run_bundle(NAME, "training", ["train.json", str(TINY)], **keys).returncode == 0
    ours, alone = (
        pd.read_csv(folder / "train" / "history.csv")[["lr", "train_loss", "val_loss"]]
        for folder in (tmp_path / "all" / "site1", tmp_path)
    )
    pd.testing.assert_frame_equal(ours, alone, rtol=1e-5)
    assert not list((tmp_path / "all").rglob("*.pt")), "a site's checkpoint would be resumed in the next round"


def test_the_average_counts_each_site_by_its_steps() -> None:
    from monai.fl.utils.constants import FlStatistics
    from monai.fl.utils.exchange_object import ExchangeObject

    from examples.federated_pretraining import average

    updates = [
        ExchangeObject(weights={"w": torch.tensor([value])}, statistics={FlStatistics.NUM_EXECUTED_ITERATIONS: steps})
        for value, steps in ((1.0, 1), (5.0, 3))
    ]
    assert average(updates)["w"].item() == pytest.approx(4.0)


def test_the_slurm_job_trains(films: Path, tmp_path: Path) -> None:
    """With commands in the place of Slurm's, that do on one machine what those do on several."""
    tools = {
        "srun": 'shift 2; exec "$@"',
        "scontrol": "echo localhost",
        "torchrun": f'exec {sys.executable} -m torch.distributed.run "$@"',
    }
    for name, line in tools.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    slurm = {
        "SLURM_JOB_NODELIST": "node",
        "SLURM_NNODES": "1",
        "SLURM_GPUS_ON_NODE": "2",
        "SLURM_JOB_ID": "7",
        "SLURM_LOCALID": "0",
        "SLURM_CPUS_PER_TASK": "1",
    }
    small = {"image_size": 32, "epochs": 1, "batch_size": 4, "device": "cpu", "backend": "gloo"}
    small |= {"network_def#num_layers": 1, "network_def#decoder_num_layers": 1}
    words = [word for key, value in small.items() for word in (f"--{key}", str(value))]
    script = ROOT / "examples" / "slurm_pretraining.sh"
    environment = os.environ | slurm | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["bash", str(script), str(films), str(tmp_path / "out"), *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert torch.load(tmp_path / "out" / "models" / "last.pt", weights_only=True)["epoch"] == 1


def test_the_kubernetes_job_is_one_that_the_operator_and_the_bundle_take(monkeypatch) -> None:
    job = yaml.safe_load((ROOT / "examples" / "kubernetes_pytorchjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "PyTorchJob")
    nodes = job["spec"]["pytorchReplicaSpecs"]
    assert set(nodes) == {"Master", "Worker"}
    monkeypatch.chdir(ROOT)
    for node in nodes.values():
        spec = node["template"]["spec"]
        (container,) = spec["containers"]
        assert container["name"] == "pytorch", "the operator looks for this name"
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
        assert str(container["resources"]["limits"]["nvidia.com/gpu"]) == job["spec"]["nprocPerNode"]
        check_overrides(container["args"])
