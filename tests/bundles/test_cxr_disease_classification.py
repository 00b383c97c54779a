"""The bundle from end to end on phantoms: fine-tune from an encoder, evaluate, infer, probe; errors in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from PIL import Image

from monai_mae_ext.data import CHESTXRAY14_LABELS, labelled_radiographs
from monai_mae_ext.familiarity import Familiarity
from monai_mae_ext.handlers.history import read_history
from monai_mae_ext.metrics import roc_auc
from monai_mae_ext.networks import MaskedAutoencoder, load_encoder, save_encoder
from tests.bundles.conftest import BUNDLES, folder_with_a_broken_film, rows_of, run_bundle, train_in_processes

NAME = "cxr_disease_classification"
TINY = Path(__file__).parent / "tiny_classifier.json"
TRAIN = ["train.json", str(TINY)]
EVALUATE = ["train.json", str(TINY), "evaluate.json"]
INFER = ["inference.json", str(TINY)]
pytestmark = pytest.mark.bundle


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder of an autoencoder at half the size, whose position table has to be interpolated."""
    torch.manual_seed(0)
    network = MaskedAutoencoder(
        2, 1, 32, 16, hidden_size=48, mlp_dim=96, num_layers=2, num_heads=4,
        decoder_hidden_size=24, decoder_mlp_dim=48, decoder_num_layers=1, decoder_num_heads=2,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("encoder") / "encoder.safetensors"
    save_encoder(network, path)
    return path


@pytest.fixture(scope="module")
def trained(films: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs from the encoder, with averaged weights: ``models`` and ``train``."""
    run = tmp_path_factory.mktemp("classifier")
    keys = {"dataset_dir": films, "ckpt_dir": run / "models", "output_dir": run / "train", "pretrained": encoder}
    done = run_bundle(NAME, "training", TRAIN, ema_momentum=0.2, **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "interpolated" in done.stdout and "calibrated on" in done.stdout
    return run


def test_training_leaves_averaged_weights_history_and_calibration(trained: Path) -> None:
    models = trained / "models"
    state = torch.load(models / "last.pt", weights_only=True)
    best = torch.load(models / "model.pt", weights_only=True)
    if state["best"]["epoch"] == 2:
        assert all(torch.equal(best[key], state["averaged"][key]) for key in best)
    assert any(not torch.equal(state["averaged"][key], state["network"][key]) for key in best)
    rows = read_history(trained / "train" / "history.csv")
    assert [row["epoch"] for row in rows] == [1, 2]
    assert 0 <= rows[-1]["val_mean_auc"] <= 1 and rows[-1]["val_loss"] > 0
    calibration = json.loads((models / "calibration.json").read_text())
    assert calibration["label_names"] == list(CHESTXRAY14_LABELS) and calibration["films"] >= 5
    assert (models / "familiarity.safetensors").is_file()


def test_evaluation_agrees_with_its_own_table(trained: Path, films: Path) -> None:
    out = trained / "evaluate"
    keys = {"dataset_dir": films, "ckpt_dir": trained / "models", "output_dir": out}
    done = run_bundle(NAME, "evaluating", EVALUATE, **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    scores, rows = json.loads((out / "evaluation.json").read_text()), rows_of(out / "per_image.csv")
    assert scores["films"] == len(rows) == len((films / "test_list.txt").read_text().split())
    aucs = [
        roc_auc([float(row[f"probability {name}"]) for row in rows], [int(row[f"label {name}"]) for row in rows])
        for name in CHESTXRAY14_LABELS
    ]
    assert scores["classes"] == np.isfinite(aucs).sum()
    assert scores["mean_auc"] == pytest.approx(np.nanmean(aucs), abs=1e-9)
    table = rows_of(out / "per_class.csv")
    assert [row["name"] for row in table] == list(CHESTXRAY14_LABELS)
    assert table[-1]["note"] == "no positives" and not table[-1]["auc"]
    for picture in ("roc.png", "reliability.png"):
        assert Image.open(out / picture).size[0] > 400


def test_inference_gives_every_film_a_row(trained: Path, films: Path, tmp_path: Path) -> None:
    folder, models = tmp_path / "scans", tmp_path / "models"
    shutil.copytree(trained / "models", models)
    names = folder_with_a_broken_film(folder, films)
    for threshold, out in ((2.0, tmp_path / "familiar"), (0.0, tmp_path / "unfamiliar")):
        Familiarity(Familiarity.load(models / "familiarity.safetensors").features, threshold).save(
            models / "familiarity.safetensors"
        )
        keys = {"dataset_dir": folder, "ckpt_dir": models, "output_dir": out, "refuse_unfamiliar": True}
        done = run_bundle(NAME, "inferring", INFER, **keys)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        left_out = 1 if threshold else 4
        assert done.stderr.splitlines()[-1].startswith(f"error: {left_out} of 4 files were left out: broken.png")
        rows = {row["image"]: row for row in rows_of(out / "predictions.csv")}
        assert set(rows) == {"broken.png", *names}
        assert "download it again" in rows["broken.png"]["reason"] and not rows["broken.png"]["Mass"]
        for record in json.loads((out / "predictions.json").read_text()):
            row, picture = rows[record["image"]], out / f"{record['image'][:-4]}_saliency.png"
            if threshold and record["image"] in names:
                assert not row["reason"] and list(record["probabilities"]) == list(CHESTXRAY14_LABELS)
                assert all(float(row[label]) == value for label, value in record["probabilities"].items())
                assert row["findings"] == "|".join(record["findings"])
                assert Image.open(picture).size[0] > 400
            else:
                assert row["reason"] and not row["Mass"] and not record["probabilities"] and not picture.exists()
                assert record["image"] not in names or "does not look like" in row["reason"]


def test_linear_probe_leaves_the_encoder_alone(films: Path, encoder: Path, tmp_path: Path) -> None:
    keys = {"dataset_dir": films, "ckpt_dir": tmp_path / "m", "output_dir": tmp_path / "o", "pretrained": encoder}
    done = run_bundle(NAME, "training", ["train.json", str(TINY), "linear_probe.json"], **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    weights, _ = load_encoder(encoder)
    best = torch.load(tmp_path / "m" / "model.pt", weights_only=True)
    blocks = [key for key in weights if key.startswith("blocks.") and "cross_attn" not in key]
    assert len(blocks) > 10 and all(torch.equal(weights[key], best[f"encoder.{key}"]) for key in blocks)
    assert best["standardize.running_mean"].abs().sum() > 0


def test_nearest_neighbours_probe_an_encoder_without_training(films: Path, encoder: Path, tmp_path: Path) -> None:
    overrides = {"pretrained": encoder, "validation_section": "test", "neighbours": 5}
    done = run_bundle(
        NAME,
        "probing",
        ["train.json", str(TINY), "knn_probe.json"],
        dataset_dir=films,
        output_dir=tmp_path,
        **overrides,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "k-NN probe" in done.stdout and "of a random encoder" in done.stdout
    scores = json.loads((tmp_path / "knn_probe.json").read_text())
    assert scores["films"] == len((films / "test_list.txt").read_text().split())
    assert scores["against_random"]["mean_auc_a"] == pytest.approx(scores["mean_auc"])
    assert [row["name"] for row in rows_of(tmp_path / "knn_per_class.csv")] == list(CHESTXRAY14_LABELS)


@pytest.mark.parametrize("shared", [[], ["fsdp.json"]], ids=["shared data", "shared weights"])
def test_own_labels_and_two_processes(films: Path, tmp_path: Path, shared: list) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    names = [path.name for path in sorted((films / "images").iterdir())]
    for name in names:
        shutil.copy(films / "images" / name, folder / name)
    lines = [f"{name},{name[:8]},{number % 2},{number % 3 == 0:d}" for number, name in enumerate(names)]
    (folder / "labels.csv").write_text("\n".join(["image,patient,tube,pacemaker", *lines]) + "\n")
    done = train_in_processes(
        2, NAME, TRAIN, shared, dataset_dir=folder, ckpt_dir=tmp_path / "models", output_dir=tmp_path / "train",
        label_names="['tube','pacemaker']", batch_size=4,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert torch.load(tmp_path / "models" / "last.pt", weights_only=True)["epoch"] == 2
    calibration = json.loads((tmp_path / "models" / "calibration.json").read_text())
    assert calibration["label_names"] == ["tube", "pacemaker"]
    items = labelled_radiographs(folder, "validation", ["tube", "pacemaker"], validation_fraction=0.4)
    assert calibration["films"] == len(items), "each film counts once"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"label_names": "['Effusion','Fracture']"}, "has no label 'Fracture'"),
        ({"pretrained": "no/such/encoder.safetensors"}, "pre-trained weights no/such/encoder.safetensors"),
        ({"label_fraction": 0}, "label_fraction is above 0"),
        ({"validation_fraction": 0.05}, "validation films cannot tell what is familiar"),
    ],
    ids=["label", "encoder", "fraction", "validation"],
)
def test_mistakes_end_in_one_clear_line(films: Path, tmp_path: Path, overrides: dict, message: str) -> None:
    keys = {"dataset_dir": films, "ckpt_dir": tmp_path / "m", "output_dir": tmp_path / "o"} | overrides
    done = run_bundle(NAME, "training", TRAIN, **keys)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ") and message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr and not (tmp_path / "m" / "last.pt").exists()


def test_an_evaluation_without_a_readable_film_says_so(trained: Path, films: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(films, tmp_path / "films")
    for name in (folder / "test_list.txt").read_text().split():
        (folder / "images" / name).write_bytes(b"garbage")
    keys = {"dataset_dir": folder, "ckpt_dir": trained / "models", "output_dir": tmp_path / "out"}
    done = run_bundle(NAME, "evaluating", EVALUATE, **keys)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "were left out" in done.stderr.splitlines()[-1] and not (tmp_path / "out" / "evaluation.json").exists()


def test_properties_that_monai_asks_for(films: Path) -> None:
    folder = BUNDLES / NAME
    for workflow, configs in (("train", TRAIN), ("infer", INFER), ("train", EVALUATE)):
        files = [str(folder / "configs" / name) for name in configs]
        job = ConfigWorkflow(
            config_file=files, workflow_type=workflow, logging_file=False,
            meta_file=str(folder / "configs/metadata.json"), bundle_root=str(folder), dataset_dir=str(films),
        )  # fmt: skip
        job.initialize()
        assert job.check_properties() == []


def test_training_and_inference_describe_one_network_and_one_preprocessing() -> None:
    train, infer = ConfigParser(), ConfigParser()
    train.read_config(str(BUNDLES / NAME / "configs" / "train.json"))
    infer.read_config(str(BUNDLES / NAME / "configs" / "inference.json"))
    train.resolve_macro_and_relative_ids()
    assert infer["network_def"] == train["network_def"]
    for key in ("label_names", "image_size", "patch_size", "drop_path", "intensity_mean", "intensity_std"):
        assert infer[key] == train[key]
    for ours, theirs in zip(infer["preprocessing#transforms"], train["validate#deterministic_transforms"], strict=True):
        assert ours["_target_"] == theirs["_target_"]
        for argument in set(ours) - {"keys"}:
            assert ours[argument] == theirs[argument]
