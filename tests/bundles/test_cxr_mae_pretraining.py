"""The bundle from end to end on phantoms: train, evaluate, infer; resume; overrides; errors in one line."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from PIL import Image

from monai_mae_ext.handlers.history import read_history
from tests.bundles.conftest import BUNDLES, TINY, bundle_arguments, run_bundle

NAME = "cxr_mae_pretraining"
TRAIN = ["train.json", str(TINY)]
EVALUATE = ["train.json", str(TINY), "evaluate.json"]
INFER = ["inference.json", str(TINY)]
pytestmark = pytest.mark.bundle


@pytest.fixture(scope="module")
def trained(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs: ``models`` and ``train`` in the folder that this returns."""
    run = tmp_path_factory.mktemp("run")
    done = run_bundle(NAME, "training", TRAIN, dataset_dir=films, ckpt_dir=run / "models", output_dir=run / "train")
    assert done.returncode == 0, done.stderr[-3000:]
    return run


def last(models: Path) -> dict:
    return torch.load(models / "last.pt", weights_only=True)


def test_training_leaves_weights_history_and_pictures(trained: Path) -> None:
    state = last(trained / "models")
    assert state["epoch"] == 3
    assert state["facts"]["patch_size"] == 16 and state["facts"]["hidden_size"] == 48
    best = torch.load(trained / "models" / "model.pt", weights_only=True)
    assert set(best) == set(state["network"])
    rows = read_history(trained / "train" / "history.csv")
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    for column in ("val_loss", "val_psnr_hidden", "rank", "rank_random", "readable_around", "loss_position_only"):
        assert column in rows[-1]
    assert Image.open(trained / "train" / "learning_curves.png").size[0] > 400
    assert len(list((trained / "train" / "panels").glob("epoch_000?.png"))) == 3
    assert len(list((trained / "train").glob("events.out.tfevents.*"))) == 1


def test_evaluation_sets_the_network_beside_trivial_predictors(trained: Path, films: Path) -> None:
    out = trained / "evaluate"
    done = run_bundle(NAME, "evaluating", EVALUATE, dataset_dir=films, ckpt_dir=trained / "models", output_dir=out)
    assert done.returncode == 0, done.stderr[-3000:]
    scores = json.loads((out / "evaluation.json").read_text())
    n_test = len((films / "test_list.txt").read_text().split())
    assert scores["images"] == n_test
    for score in ("psnr_hidden", "ssim_hidden", "psnr_image", "ssim_image"):
        for predictor in ("", "_mean_fill", "_linear_fill"):
            assert torch.isfinite(torch.tensor(scores[score + predictor]))
    assert scores["psnr_image"] > scores["psnr_hidden"], "pasted visible voxels are perfect"
    assert len((out / "per_image.csv").read_text().splitlines()) == n_test + 1


def test_inference_goes_past_a_bad_file_and_says_so(trained: Path, films: Path, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    (folder / "ward").mkdir(parents=True)
    sources = sorted((films / "images").glob("*.png"))[:2] + sorted((films / "images").glob("*.dcm"))[:1]
    for source in sources:
        shutil.copy(source, folder / "ward" / source.name)
    (folder / "broken.png").write_bytes(sources[0].read_bytes()[:200])
    out = tmp_path / "out"
    done = run_bundle(NAME, "inferring", INFER, dataset_dir=folder, ckpt_dir=trained / "models", output_dir=out)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: 1 of 4 files were left out: broken.png")
    for source in sources:
        assert Image.open(out / "ward" / f"{source.stem}_reconstruction.png").size == (64, 64)
        assert (out / "ward" / f"{source.stem}_panel.png").is_file()


def test_a_damaged_film_is_named_and_does_not_stop_training(films: Path, tmp_path: Path) -> None:
    shutil.copytree(films, tmp_path / "films")
    victim = tmp_path / "films" / "images" / (films / "train_val_list.txt").read_text().split()[0]
    victim.write_bytes(victim.read_bytes()[:300])
    keys = {"dataset_dir": tmp_path / "films", "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "train"}
    done = run_bundle(NAME, "training", TRAIN, epochs=1, **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{victim.name} is replaced by the next good one" in done.stdout
    done = run_bundle(NAME, "training", TRAIN, epochs=2, max_bad_files=0, **keys)
    assert done.returncode == 1 and "max_bad_files allows 0" in done.stderr.splitlines()[-1]


def test_mlflow_gets_every_epoch(films: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="the extra [mlflow] is not installed")
    keys = {"dataset_dir": films, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "train", "epochs": 2}
    done = run_bundle(NAME, "training", [*TRAIN, "mlflow.json"], **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    with sqlite3.connect(tmp_path / "train" / "mlflow.db") as database:
        steps = database.execute("select step from metrics where key = 'val_loss' order by step").fetchall()
    assert steps == [(1,), (2,)]


def test_an_online_probe_is_in_the_history_and_changes_no_weight(trained: Path, films: Path, tmp_path: Path) -> None:
    keys = {"dataset_dir": films, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "train", "neighbours": 5}
    done = run_bundle(NAME, "training", [*TRAIN, "online_probe.json"], validation_section="test", **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = read_history(tmp_path / "train" / "history.csv")
    assert all(0 <= row["knn_mean_auc"] <= 1 for row in rows)
    assert len({row["knn_mean_auc_random"] for row in rows}) == 1
    ours, theirs = last(tmp_path / "models")["network"], last(trained / "models")["network"]
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.real_data
def test_real_films_go_the_same_way(real_data: Path, tmp_path: Path) -> None:
    keys = {"dataset_dir": real_data / "chestxray14", "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "train"}
    done = run_bundle(NAME, "training", TRAIN, epochs=2, **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = read_history(tmp_path / "train" / "history.csv")
    assert second["val_loss"] < first["val_loss"]


def test_kill_and_resume_gives_the_same_bits(trained: Path, films: Path, tmp_path: Path) -> None:
    keys = {"dataset_dir": films, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "train"}
    command = [sys.executable, "-m", "monai.bundle", *bundle_arguments(NAME, "training", TRAIN, **keys)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "models" / "last.pt").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed_at = last(tmp_path / "models")["epoch"]
    assert killed_at < 3, "the run was over before it was killed"
    done = run_bundle(NAME, "training", TRAIN, **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"resumed behind epoch {killed_at}" in done.stdout
    whole, resumed = last(trained / "models"), last(tmp_path / "models")
    assert resumed["epoch"] == 3
    for key, weight in whole["network"].items():
        assert torch.equal(weight, resumed["network"][key]), key
    for index, state in whole["optimizer"]["state"].items():
        assert torch.equal(state["exp_avg_sq"], resumed["optimizer"]["state"][index]["exp_avg_sq"])
    assert resumed["best"] == whole["best"]
    assert [row["epoch"] for row in read_history(tmp_path / "train" / "history.csv")] == [1, 2, 3]


def test_same_command_again_trains_no_further_and_more_epochs_train_on(
    trained: Path, films: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "models", tmp_path / "models")
    keys = {"dataset_dir": films, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "train"}
    before = (tmp_path / "models" / "last.pt").read_bytes()
    done = run_bundle(NAME, "training", TRAIN, **keys)
    assert done.returncode == 0 and "all epochs are done" in done.stdout
    assert (tmp_path / "models" / "last.pt").read_bytes() == before
    done = run_bundle(NAME, "", TRAIN, train__trainer__max_epochs=4, **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    assert last(tmp_path / "models")["epoch"] == 4


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"dataset_dir": "no/such/folder"}, "no/such/folder"),
        ({"image_size": 72}, "is not a multiple of patch size [16, 16]"),
        ({"epohcs": 1}, "did you mean --epochs?"),
        ({"mask_ratio": 1.5}, "mask_ratio is in (0, 1), not 1.5"),
    ],
    ids=["no-data", "size", "misspelt", "ratio"],
)
def test_mistakes_end_in_one_clear_line(films: Path, tmp_path: Path, overrides: dict, message: str) -> None:
    keys = {"dataset_dir": films, "ckpt_dir": tmp_path / "m", "output_dir": tmp_path / "o"} | overrides
    done = run_bundle(NAME, "training", TRAIN, **keys)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ") and message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_weights_of_another_architecture_are_refused(trained: Path, films: Path, tmp_path: Path) -> None:
    keys = {"dataset_dir": films, "ckpt_dir": trained / "models", "output_dir": tmp_path, "network_def__num_layers": 3}
    for verb, configs in (("training", TRAIN), ("evaluating", EVALUATE)):
        done = run_bundle(NAME, verb, configs, **keys)
        assert done.returncode == 1
        error = done.stderr.splitlines()[-1]
        assert error.startswith("error: ") and "holds another architecture" in error and "encoder.blocks.2" in error
        assert "Traceback" not in done.stderr


def test_properties_that_monai_asks_for(films: Path) -> None:
    folder = BUNDLES / NAME
    for workflow, configs in (("train", TRAIN), ("infer", INFER), ("train", EVALUATE)):
        files = [str(folder / "configs" / name) for name in configs]
        job = ConfigWorkflow(
            config_file=files, workflow_type=workflow, logging_file=False, meta_file=str(folder /
            "configs/metadata.json"), bundle_root=str(folder), dataset_dir=str(films),
        )  # fmt: skip
        job.initialize()
        assert job.check_properties() == []


def test_training_and_inference_describe_one_network_and_one_preprocessing() -> None:
    """Both files are complete, so what they share is written twice; this keeps it equal."""
    train, infer = ConfigParser(), ConfigParser()
    train.read_config(str(BUNDLES / NAME / "configs" / "train.json"))
    infer.read_config(str(BUNDLES / NAME / "configs" / "inference.json"))
    train.resolve_macro_and_relative_ids()
    assert infer["network_def"] == train["network_def"]
    for key in (
        "image_size",
        "patch_size",
        "mask_ratio",
        "normalize_targets",
        "borrow",
        "intensity_mean",
        "intensity_std",
    ):
        assert infer[key] == train[key]
    assert infer["deterministic_transforms"] == without_notes(train["validate#deterministic_transforms"])
    assert infer["random_transforms"] == without_notes(train["validate#random_transforms"])
    assert infer["random_transforms#0"].items() <= train["train#random_transforms#2"].items()


def without_notes(transforms: list[dict]) -> list[dict]:
    return [{key: value for key, value in transform.items() if key != "_desc_"} for transform in transforms]
