"""The bundle on small volumes: train, evaluate, infer; baselines as overlays; errors in one line."""

from __future__ import annotations

import csv
import json
import math
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from monai_mae_ext.handlers.history import read_history
from tests.bundles.conftest import BUNDLES, run_bundle

NAME = "ct_superpatch_pretraining"
TINY = Path(__file__).parent / "tiny_superpatch.json"
TRAIN = ["train.json", str(TINY)]
pytestmark = pytest.mark.bundle


@pytest.fixture(scope="module")
def trained(volumes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    done = run_bundle(NAME, "training", TRAIN, dataset_dir=volumes, ckpt_dir=run / "models", output_dir=run / "train")
    assert done.returncode == 0, done.stderr[-3000:]
    return run


def test_training_learns_and_leaves_weights_history_and_panels(trained: Path) -> None:
    first, last = read_history(trained / "train" / "history.csv")
    assert last["train_loss"] < first["train_loss"] and "rank" in last and "val_psnr_hidden" in last
    assert torch.load(trained / "models" / "last.pt", weights_only=True)["facts"]["spatial_dims"] == 3
    assert len(list((trained / "train" / "panels").glob("epoch_000?.png"))) == 2


def test_evaluation_has_three_rows_beside_trivial_predictors(trained: Path, volumes: Path) -> None:
    out = trained / "evaluate"
    done = run_bundle(
        NAME, "evaluating", [*TRAIN, "evaluate.json"], dataset_dir=volumes, ckpt_dir=trained / "models", output_dir=out
    )
    assert done.returncode == 0, done.stderr[-3000:]
    scores = json.loads((out / "evaluation.json").read_text())
    assert scores["images"] == 2
    for row in ("unmasked", "unmasked_block_mean", "hidden", "hidden_mean_fill", "pasted"):
        assert math.isfinite(scores[f"psnr_{row}"]) and -1 <= scores[f"ssim_{row}"] <= 1
    assert 0 <= scores["ms_ssim_unmasked"] <= 1 and "ms_ssim_hidden" not in scores
    assert scores["psnr_pasted"] > scores["psnr_hidden"], "pasted visible voxels are perfect"
    with open(out / "per_image.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 2


def test_reconstructions_lie_on_the_scan_and_a_bad_file_does_not_stop_the_others(
    trained: Path, volumes: Path, tmp_path: Path
) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    for name in ("case_00.nii.gz", "case_01.nii.gz"):
        shutil.copy(volumes / "images" / name, scans / name)
    (scans / "broken.nii.gz").write_bytes(b"no volume")
    keys = {"dataset_dir": scans, "ckpt_dir": trained / "models", "output_dir": tmp_path / "out"}
    done = run_bundle(NAME, "inferring", ["inference.json", str(TINY)], **keys)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: 1 of 3 files were left out: broken.nii.gz")
    for name in ("case_00", "case_01"):
        source = nib.load(scans / f"{name}.nii.gz")
        corners = [
            volume_corners(nib.load(tmp_path / "out" / f"{name}_{kind}.nii.gz")) for kind in ("unmasked", "pasted")
        ]
        for corner in corners:
            np.testing.assert_allclose(corner, volume_corners(source), atol=15)
        values = np.asarray(nib.load(tmp_path / "out" / f"{name}_pasted.nii.gz").dataobj)
        assert values.min() >= -175 and values.max() <= 250
        assert (tmp_path / "out" / f"{name}_panel.png").is_file()


def volume_corners(volume: nib.Nifti1Image) -> np.ndarray:
    """Least and greatest coordinate along each axis, in millimetres, of the voxels' outer edges."""
    box = np.array(np.meshgrid(*[(-0.5, side - 0.5) for side in volume.shape])).reshape(3, -1)
    places = volume.affine[:3, :3] @ box + volume.affine[:3, 3:]
    return np.stack([places.min(1), places.max(1)])


@pytest.mark.parametrize("kind", ["ae", "vae", "vqvae"])
def test_baselines_train_and_are_judged_on_the_first_row_alone(kind: str, volumes: Path, tmp_path: Path) -> None:
    configs = [*TRAIN, f"baseline_{kind}.json"]
    keys = {"dataset_dir": volumes, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "out"}
    small = {"network_def__channels": [8, 16]}
    done = run_bundle(NAME, "training", configs, **keys, **small)
    assert done.returncode == 0, done.stderr[-3000:]
    done = run_bundle(NAME, "evaluating", [*configs, "evaluate.json"], **keys, **small)
    assert done.returncode == 0, done.stderr[-3000:]
    scores = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert math.isfinite(scores["psnr_unmasked"]) and not any("hidden" in name for name in scores)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"patch_size": 5}, "is not a multiple of patch size [5, 5, 5]"),
        ({"dataset_dir": "no/such/folder"}, "no/such/folder"),
        ({"superpach": 16}, "did you mean --superpatch"),
    ],
    ids=["size", "no-data", "misspelt"],
)
def test_mistakes_end_in_one_clear_line(volumes: Path, tmp_path: Path, overrides: dict, message: str) -> None:
    keys = {"dataset_dir": volumes, "ckpt_dir": tmp_path / "m", "output_dir": tmp_path / "o"} | overrides
    done = run_bundle(NAME, "training", TRAIN, **keys)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ") and message in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("overlay", ["factorised", "predict_all"])
def test_overlays_lie_over_training_and_inference(overlay: str) -> None:
    networks, maskings = [], []
    for config in ("train", "inference"):
        parser = ConfigParser(
            ConfigParser.load_config_files(
                [str(BUNDLES / NAME / "configs" / f"{config}.json"), str(TINY)]
                + [str(BUNDLES / NAME / "configs" / f"{overlay}.json")]
            )
        )
        networks.append(parser.get_parsed_content("network_def"))
        maskings.append(parser.get_parsed_content("validation_masking"))
    assert networks[0].facts == networks[1].facts and type(maskings[0]) is type(maskings[1])
    assert networks[0].encoder.factorised == (overlay == "factorised")
    assert networks[0].decoder.recall == (overlay == "predict_all")


def test_training_and_inference_describe_one_network_and_one_preprocessing() -> None:
    train, infer = ConfigParser(), ConfigParser()
    train.read_config(str(BUNDLES / NAME / "configs" / "train.json"))
    infer.read_config(str(BUNDLES / NAME / "configs" / "inference.json"))
    assert infer["network_def"] == train["network_def"]
    for key in ("spacing", "hu_low", "hu_high", "superpatch", "patch_size", "normalize_targets", "borrow"):
        assert infer[key] == train[key]
    notes = lambda steps: [{key: value for key, value in step.items() if key != "_desc_"} for step in steps]  # noqa: E731
    assert infer["deterministic_transforms"] == notes(train["train#deterministic_transforms"])
    assert notes([infer["validation_masking"]]) == notes([train["validation_masking"]])
