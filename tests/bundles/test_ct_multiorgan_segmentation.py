"""The bundle on small volumes: train (from a pre-trained encoder too), evaluate on the scan's grid, infer."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.bundle import ConfigParser

from monai_mae_ext.handlers.history import read_history
from monai_mae_ext.networks import MaskedAutoencoder, save_encoder
from tests.bundles.conftest import BUNDLES, run_bundle

NAME = "ct_multiorgan_segmentation"
TINY = Path(__file__).parent / "tiny_segmenter.json"
TRAIN = ["train.json", str(TINY)]
LEARNT = {"epochs": 30, "val_interval": 10, "flip_prob": 0.0, "rotate90_prob": 0.0, "layer_decay": 1.0}
pytestmark = pytest.mark.bundle


@pytest.fixture(scope="module")
def trained(volumes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    keys = {"dataset_dir": volumes, "ckpt_dir": run / "models", "output_dir": run / "train"}
    done = run_bundle(NAME, "training", TRAIN, **keys, **LEARNT)
    assert done.returncode == 0, done.stderr[-3000:]
    return run


def test_it_learns_the_organs_and_is_judged_on_the_scans_own_grid(trained: Path, volumes: Path) -> None:
    out = trained / "evaluate"
    keys = {"dataset_dir": volumes, "ckpt_dir": trained / "models", "output_dir": out}
    done = run_bundle(NAME, "evaluating", [*TRAIN, "evaluate.json"], **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads((out / "evaluation.json").read_text())
    assert result["scans"] == 2 and "mean_dice_8_organs_transunet" in result
    rows = {row["class"]: row for row in result["classes"]}
    assert rows["spleen"]["dice"] > 0.6 and rows["liver"]["dice"] > 0.4
    assert 0 < rows["spleen"]["hd95_mm"] < 200
    with open(out / "per_image.csv", newline="") as file:
        images = list(csv.DictReader(file))
    assert len(images) == 2 and float(images[0]["dice spleen"]) > 0.5
    assert len((out / "per_class.csv").read_text().splitlines()) == 14


def test_labels_are_written_in_each_scans_own_geometry(trained: Path, volumes: Path, tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    shutil.copytree(volumes / "images", scans)
    (scans / "broken.nii.gz").write_bytes(b"no volume")
    keys = {"dataset_dir": scans, "ckpt_dir": trained / "models", "output_dir": tmp_path / "out"}
    done = run_bundle(NAME, "inferring", ["inference.json", str(TINY)], **keys)
    assert done.returncode == 1 and "1 of 8 files were left out: broken.nii.gz" in done.stderr.splitlines()[-1]
    overlaps = []
    for path in sorted((volumes / "images").glob("*.nii.gz")):
        scan, found = nib.load(path), nib.load(tmp_path / "out" / path.name.replace(".nii", "_seg.nii"))
        assert found.shape == scan.shape and found.get_data_dtype() == np.uint8
        np.testing.assert_allclose(found.affine, scan.affine)
        ours, truth = (np.asarray(image.dataobj) == 1 for image in (found, nib.load(volumes / "labels" / path.name)))
        overlaps.append(2 * (ours & truth).sum() / (ours.sum() + truth.sum()))
    assert min(overlaps) > 0.4 and np.mean(overlaps) > 0.6, "all orientations alike"
    with open(tmp_path / "out" / "volumes.csv", newline="") as file:
        assert all(float(row["spleen (ml)"]) > 0 for row in csv.DictReader(file))
    assert len(list((tmp_path / "out").glob("*_overlay.png"))) == 7


def test_a_pretrained_encoder_is_taken_and_reported(volumes: Path, tmp_path: Path) -> None:
    encoder = MaskedAutoencoder(3, 1, 32, 4, 48, 96, 2, 4, decoder_hidden_size=24, decoder_mlp_dim=24,
                                decoder_num_layers=1, decoder_num_heads=2)  # fmt: skip
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    keys = {"dataset_dir": volumes, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "train"}
    done = run_bundle(NAME, "training", TRAIN, pretrained=tmp_path / "encoder.safetensors", **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "interpolated  patch_embedding.position_embeddings  8x8x8 -> 4x4x4 tokens" in done.stdout
    assert len(read_history(tmp_path / "train" / "history.csv")) == 2


def test_labels_on_another_grid_are_left_out_with_a_reason(trained: Path, volumes: Path, tmp_path: Path) -> None:
    shutil.copytree(volumes, tmp_path / "data")
    victim = tmp_path / "data" / "labels" / "case_05.nii.gz"
    label = nib.load(victim)
    nib.save(nib.Nifti1Image(np.asarray(label.dataobj), label.affine + np.diag([1, 0, 0, 0])), victim)
    keys = {"dataset_dir": tmp_path / "data", "ckpt_dir": trained / "models", "output_dir": tmp_path / "out"}
    done = run_bundle(NAME, "evaluating", [*TRAIN, "evaluate.json"], **keys)
    assert done.returncode == 1 and "case_05.nii.gz" in done.stderr.splitlines()[-1]
    assert "its labels lie on another grid" in done.stdout + done.stderr
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["scans"] == 1


def test_training_and_inference_describe_one_network_and_one_preprocessing() -> None:
    train, infer = ConfigParser(), ConfigParser()
    train.read_config(str(BUNDLES / NAME / "configs" / "train.json"))
    infer.read_config(str(BUNDLES / NAME / "configs" / "inference.json"))
    assert infer["network_def"] == {**train["network_def"], "drop_path": 0.0}
    for key in ("label_names", "spacing", "hu_low", "hu_high", "roi", "patch_size"):
        assert infer[key] == train[key]
    for ours, theirs in zip(infer["deterministic_transforms"], train["train#deterministic_transforms"], strict=True):
        both = set(ours) - {"keys", "mode", "dtype"}
        assert {key: ours[key] for key in both} == {key: theirs[key] for key in both}
