"""The bundle on small brain phantoms: train, evaluate, infer; a single sequence by overrides."""

from __future__ import annotations

import json
import math
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from monai_mae_ext.handlers.history import read_history
from tests.bundles.conftest import BUNDLES, few_hippocampi, run_bundle

NAME = "mri_tumor_pretraining"
TINY = Path(__file__).parent / "tiny_superpatch.json"
TRAIN = ["train.json", str(TINY)]
pytestmark = pytest.mark.bundle


@pytest.fixture(scope="module")
def trained(brains: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    done = run_bundle(NAME, "training", TRAIN, dataset_dir=brains, ckpt_dir=run / "models", output_dir=run / "train")
    assert done.returncode == 0, done.stderr[-3000:]
    return run


def test_training_learns_and_leaves_weights_history_and_panels(trained: Path) -> None:
    first, last = read_history(trained / "train" / "history.csv")
    assert last["val_loss"] < first["val_loss"] and "rank" in last and "val_psnr_hidden" in last
    assert torch.load(trained / "models" / "last.pt", weights_only=True)["facts"]["in_channels"] == 4
    assert len(list((trained / "train" / "panels").glob("epoch_000?.png"))) == 2


def test_evaluation_and_reconstructions_of_four_channels(trained: Path, brains: Path) -> None:
    keys = {"dataset_dir": brains, "ckpt_dir": trained / "models"}
    done = run_bundle(NAME, "evaluating", [*TRAIN, "evaluate.json"], output_dir=trained / "evaluate", **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    scores = json.loads((trained / "evaluate" / "evaluation.json").read_text())
    assert scores["images"] == 2 and scores["psnr_pasted"] > scores["psnr_hidden"]
    assert all(math.isfinite(scores[f"psnr_{row}"]) for row in ("unmasked", "hidden_mean_fill"))
    out = trained / "reconstructions"
    done = run_bundle(NAME, "inferring", ["inference.json", str(TINY)], output_dir=out, section="test", **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    volumes = [nib.load(path) for path in sorted(out.rglob("*_pasted.nii.gz"))]
    assert len(volumes) == 2 and all(volume.shape[3] == 4 for volume in volumes)
    assert all(np.abs(np.asarray(volume.dataobj)).max() <= 3000 for volume in volumes)
    assert len(list(out.rglob("*_panel.png"))) == 2


@pytest.mark.real_data
def test_one_sequence_by_overrides_alone(real_data: Path, tmp_path: Path) -> None:
    scans = few_hippocampi(real_data / "Task04_Hippocampus", tmp_path / "scans")
    keys = {"dataset_dir": scans, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path}
    small = {"modalities": "['MRI']", "spacing": "[3,3,3]", "epochs": 1, "modality_dropout": 0.0}
    done = run_bundle(NAME, "training", TRAIN, **keys, **small)
    assert done.returncode == 0, done.stderr[-3000:]
    assert torch.load(tmp_path / "models" / "last.pt", weights_only=True)["facts"]["in_channels"] == 1


def test_background_is_left_out_and_hidden_sequences_are_wanted(brains: Path) -> None:
    parser = ConfigParser(ConfigParser.load_config_files([str(BUNDLES / NAME / "configs" / "train.json"), str(TINY)]))
    parser.update({"dataset_dir": str(brains), "modality_dropout": 0.9})
    crop = parser.get_parsed_content("train#dataset")[0][0]
    brain = crop["valid"].bool().expand_as(crop["target"])
    assert not crop["target"][~brain].any() and 0 < brain.float().mean() < 1
    dropped = ~crop["image"].flatten(1).any(1)
    assert dropped.any() and not dropped.all()
    assert crop["target"].flatten(1).any(1).all()
    present = crop["target"][~dropped]
    assert torch.equal(crop["image"][~dropped].as_subclass(torch.Tensor), present.as_subclass(torch.Tensor))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"modalities": "['T1w','PD']"}, ""),
        ({"modalities": "['PD']"}, "none of PD: set --modalities"),
        ({"modalty_dropout": 0.1}, "did you mean --modality_dropout"),
    ],
    ids=["one-is-missing", "none", "misspelt"],
)
def test_mistakes_end_in_one_clear_line(brains: Path, tmp_path: Path, overrides: dict, message: str) -> None:
    keys = {"dataset_dir": brains, "ckpt_dir": tmp_path / "m", "output_dir": tmp_path / "o", "epochs": 1} | overrides
    done = run_bundle(NAME, "training", TRAIN, **keys)
    if not message:
        assert done.returncode == 0 and "phantom_0001.nii.gz has no PD: zeros take the place" in done.stdout
        return
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ") and message in done.stderr.splitlines()[-1]


def test_training_and_inference_describe_one_network_and_one_preprocessing() -> None:
    train, infer = ConfigParser(), ConfigParser()
    train.read_config(str(BUNDLES / NAME / "configs" / "train.json"))
    infer.read_config(str(BUNDLES / NAME / "configs" / "inference.json"))
    assert infer["network_def"] == train["network_def"]
    for key in ("modalities", "spacing", "superpatch", "patch_size", "brain_only", "normalize_targets", "borrow"):
        assert infer[key] == train[key]
    notes = lambda steps: [{key: value for key, value in step.items() if key != "_desc_"} for step in steps]  # noqa: E731
    assert infer["deterministic_transforms"] == notes(train["train#deterministic_transforms"])
    assert notes([infer["validation_masking"]]) == notes([train["validation_masking"]])


def test_predict_all_lies_over_training_and_inference() -> None:
    networks = []
    for config in ("train.json", "inference.json"):
        files = [BUNDLES / NAME / "configs" / config, TINY, BUNDLES / NAME / "configs" / "predict_all.json"]
        parser = ConfigParser(ConfigParser.load_config_files([str(file) for file in files]))
        networks.append(parser.get_parsed_content("network_def"))
    assert networks[0].facts == networks[1].facts and networks[0].decoder.recall
