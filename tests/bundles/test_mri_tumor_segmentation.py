"""The bundle on small brain phantoms: train, evaluate on the scan's grid, infer with sequences missing."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose

from monai_mae_ext.data import mri_datalist
from monai_mae_ext.networks import MaskedAutoencoder, save_encoder
from monai_mae_ext.phantoms import write_brain_phantoms
from tests.bundles.conftest import BUNDLES, few_hippocampi, run_bundle, train_in_processes

NAME = "mri_tumor_segmentation"
TINY = Path(__file__).parent / "tiny_segmenter.json"
TRAIN = ["train.json", str(TINY)]
SPACING = {"spacing": "[6,6,6]"}
LEARNT = {"epochs": 80, "val_interval": 20, "flip_prob": 0.0, "rotate90_prob": 0.0, "layer_decay": 1.0, "base_lr": 2.0}
pytestmark = pytest.mark.bundle


@pytest.fixture(scope="module")
def trained(brains: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    keys = {"dataset_dir": brains, "ckpt_dir": run / "models", "output_dir": run / "train"}
    done = run_bundle(NAME, "training", TRAIN, modality_dropout=0.0, **keys, **LEARNT, **SPACING)
    assert done.returncode == 0, done.stderr[-3000:]
    return run


def test_it_learns_the_regions_and_is_judged_on_the_scans_own_grid(trained: Path, brains: Path) -> None:
    keys = {"dataset_dir": brains, "ckpt_dir": trained / "models", "output_dir": trained / "evaluate"}
    done = run_bundle(NAME, "evaluating", [*TRAIN, "evaluate.json"], **keys, **SPACING)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads((trained / "evaluate" / "evaluation.json").read_text())
    assert result["scans"] == 2 and result["empty_regions"] == "brats"
    rows = {row["class"]: row for row in result["classes"]}
    assert list(rows) == ["whole tumor", "tumor core", "enhancing tumor"]
    assert rows["whole tumor"]["dice"] > 0.3 and 0 < rows["whole tumor"]["hd95_mm"] < 100
    with open(trained / "evaluate" / "per_image.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 2


def test_labels_and_probabilities_are_written_in_each_scans_own_geometry(
    trained: Path, brains: Path, tmp_path: Path
) -> None:
    keys = {"dataset_dir": brains, "ckpt_dir": trained / "models", "output_dir": tmp_path}
    done = run_bundle(NAME, "inferring", ["inference.json", str(TINY)], save_probabilities=True, **keys, **SPACING)
    assert done.returncode == 0, done.stderr[-3000:]
    overlaps = []
    for path in sorted((brains / "imagesTr").glob("*.nii.gz")):
        scan, truth = nib.load(path), nib.load(str(path).replace("images", "labels"))
        found, scores = (
            nib.load(tmp_path / "imagesTr" / path.name.replace(".nii", f"_{kind}.nii")) for kind in ("seg", "prob")
        )
        assert found.shape == scan.shape[:3] and scores.shape == (*scan.shape[:3], 3)
        np.testing.assert_allclose(found.affine, scan.affine, atol=1e-5)
        ours, theirs = (np.asarray(image.dataobj) > 0 for image in (found, truth))
        assert np.array_equal(np.asarray(scores.dataobj).max(-1) > 0.5, ours)
        overlaps.append(2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()))
    assert np.mean(overlaps) > 0.4, "all orientations alike"
    with open(tmp_path / "volumes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 7 and all(
        float(row["whole tumor (ml)"]) >= float(row["tumor core (ml)"]) >= float(row["enhancing tumor (ml)"])
        for row in rows
    )
    assert len(list(tmp_path.rglob("*_overlay.png"))) == 7


def test_brats_is_read_by_the_same_network_and_a_missing_sequence_is_said(trained: Path, tmp_path: Path) -> None:
    scans = write_brain_phantoms(tmp_path / "brats", 2, spacing=6, seed=5, layout="brats")
    keys = {"dataset_dir": scans, "ckpt_dir": trained / "models", "output_dir": tmp_path / "out"}
    overrides = SPACING | {"scheme": "brats2023", "validation_section": "all"}
    done = run_bundle(NAME, "evaluating", [*TRAIN, "evaluate.json"], **keys, **overrides)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["scans"] == 2
    name = "BraTS-GLI-00001-000"
    (scans / name / f"{name}-t1c.nii.gz").unlink()
    done = run_bundle(NAME, "inferring", ["inference.json", str(TINY)], scheme="brats2023", **keys, **SPACING)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{name}/{name} has no T1gd: zeros take the place" in done.stdout
    assert (tmp_path / "out" / name / f"{name}_seg.nii.gz").is_file()


def test_a_patient_is_the_same_input_in_both_layouts(tmp_path: Path) -> None:
    inputs = []
    for layout, scheme in (("msd", "msd"), ("brats", "brats2023")):
        folder = write_brain_phantoms(tmp_path / layout, 2, spacing=6, seed=3, layout=layout)
        for item in mri_datalist(folder, "all", ("FLAIR", "T1w", "T1gd", "T2w")):
            inputs.append(preprocessing(scheme)(item))
    for msd, brats in zip(inputs[:2], inputs[2:], strict=True):
        for key in ("image", "label"):
            torch.testing.assert_close(msd[key].as_subclass(torch.Tensor), brats[key].as_subclass(torch.Tensor))
        assert msd["image"].shape[0] == 4 and msd["label"].shape[0] == 3


def preprocessing(scheme: str) -> Compose:
    """What validation does with a scan before the network sees it."""
    parser = ConfigParser(ConfigParser.load_config_files([str(BUNDLES / NAME / "configs" / "train.json"), str(TINY)]))
    parser.update({"scheme": scheme, "spacing": [6.0, 6.0, 6.0]})
    return parser.get_parsed_content("validate#preprocessing")


@pytest.mark.real_data
def test_sequences_and_labels_of_real_scans_are_what_they_are_called(real_data: Path) -> None:
    """Oedema is bright in FLAIR and not in T1; in the enhancing part contrast agent makes T1 brighter."""
    for item in mri_datalist(real_data / "Task01_BrainTumour", "all", ("FLAIR", "T1w", "T1gd", "T2w")):
        scan = preprocessing("msd")(item)
        flair, t1, t1gd, t2 = scan["image"].as_subclass(torch.Tensor)
        whole, core, enhancing = scan["label"].as_subclass(torch.Tensor).bool()
        edema = whole & ~core
        assert flair[edema].median() > 1 > t1[edema].median() and t2[edema].median() > t1[edema].median()
        if enhancing.sum() > 20:
            assert (t1gd - t1)[enhancing].median() > (t1gd - t1)[edema].median() + 0.3


def test_regions_that_are_rightly_not_found_count_as_1_in_validation() -> None:
    parser = ConfigParser()
    parser.read_config(str(BUNDLES / NAME / "configs" / "train.json"))
    metric = parser.get_parsed_content("validate#key_metric#val_mean_dice#metric_fn")
    outputs = parser.get_parsed_content("validate#key_metric#val_mean_dice#output_transform")
    truth = torch.tensor([[[1, 1, 0, 0], [0, 0, 0, 0]], [[1, 1, 0, 0], [1, 0, 0, 0]]])  # two volumes, two regions
    guess = torch.tensor([[[1, 0, 0, 0], [0, 0, 0, 0]], [[1, 1, 0, 0], [0, 0, 0, 0]]])
    metric(*outputs({"pred": (guess * 2.0 - 1)[..., None, None], "label": truth[..., None, None].float()}))
    assert metric.aggregate().item() == pytest.approx((2 / 3 + 1 + 1 + 0) / 4)


def test_small_findings_can_be_taken_off(trained: Path, brains: Path, tmp_path: Path) -> None:
    keys = {"dataset_dir": brains, "ckpt_dir": trained / "models", "output_dir": tmp_path, "section": "test"}
    limits = {"min_part_ml": 2, "min_ml": "{'enhancing tumor': 10000}"}
    done = run_bundle(NAME, "inferring", ["inference.json", str(TINY)], **keys, **limits, **SPACING)
    assert done.returncode == 0, done.stderr[-3000:]
    with open(tmp_path / "volumes.csv", newline="") as file:
        assert all(float(row["enhancing tumor (ml)"]) == 0 for row in csv.DictReader(file))


def test_another_numbering_of_the_labels_is_noticed(brains: Path, tmp_path: Path) -> None:
    keys = {"dataset_dir": brains, "ckpt_dir": tmp_path / "m", "output_dir": tmp_path / "o", "scheme": "brats"}
    done = run_bundle(NAME, "training", TRAIN, **keys, **SPACING)
    assert done.returncode == 1
    assert "has label 3, the regions know [0, 1, 2, 4]: choose another --scheme" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_pretrained_encoder_is_taken_and_can_be_frozen(processes: int, brains: Path, tmp_path: Path) -> None:
    encoder = MaskedAutoencoder(3, 4, 32, 4, 48, 96, 2, 4, decoder_hidden_size=24, decoder_mlp_dim=24,
                                decoder_num_layers=1, decoder_num_heads=2)  # fmt: skip
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    keys = {"dataset_dir": brains, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "train"}
    keys |= {"pretrained": tmp_path / "encoder.safetensors", "freeze_encoder": True, "network_def__decoder": "head"}
    if processes == 1:
        done = run_bundle(NAME, "training", TRAIN, **keys, **SPACING)
    else:
        done = train_in_processes(processes, NAME, TRAIN, ["fsdp.json"], **keys, **SPACING)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "interpolated  patch_embedding.position_embeddings  8x8x8 -> 4x4x4 tokens" in done.stdout
    trained = torch.load(tmp_path / "models" / "model.pt", weights_only=True)
    for name, weight in encoder.encoder.blocks.state_dict().items():
        assert torch.equal(trained[f"encoder.blocks.{name}"], weight), name


@pytest.mark.real_data
def test_real_scans_of_four_sequences(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "Task01_BrainTumour"
    lists = json.loads((source / "dataset.json").read_text())
    one, other = lists["training"]
    for part in ("imagesTr", "labelsTr"):
        shutil.copytree(source / part, tmp_path / "data" / part)
    roles = {"modality": lists["modality"], "training": [one], "validation": [other], "test": [other]}
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(roles))
    keys = {"dataset_dir": tmp_path / "data", "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "out"}
    done = run_bundle(NAME, "training", TRAIN, **keys, spacing="[8,8,8]")
    assert done.returncode == 0, done.stderr[-3000:]
    infer = ["inference.json", str(TINY)]
    done = run_bundle(NAME, "inferring", infer, **keys, spacing="[8,8,8]", section="test")
    assert done.returncode == 0, done.stderr[-3000:]
    scan = nib.load(source / other["image"])
    found = nib.load(tmp_path / "out" / other["image"].replace(".nii", "_seg.nii"))
    assert found.shape == scan.shape[:3] and nib.aff2axcodes(found.affine) == nib.aff2axcodes(scan.affine)
    np.testing.assert_allclose(found.affine, scan.affine, atol=1e-4)


@pytest.mark.real_data
def test_one_sequence_and_other_regions_by_overrides_alone(real_data: Path, tmp_path: Path) -> None:
    scans = few_hippocampi(real_data / "Task04_Hippocampus", tmp_path / "scans")
    keys = {"dataset_dir": scans, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path}
    other = {"modalities": "['MRI']", "regions": "{'anterior': [1], 'posterior': [2]}", "spacing": "[3,3,3]"}
    done = run_bundle(NAME, "training", TRAIN, **keys, **other, epochs=1)
    assert done.returncode == 0, done.stderr[-3000:]
    names = {"label_names": "['background', 'anterior', 'posterior']"}
    done = run_bundle(NAME, "inferring", ["inference.json", str(TINY)], **keys, **other, **names, section="validation")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "anterior (ml)" in (tmp_path / "volumes.csv").read_text()


def test_training_and_inference_describe_one_network_and_one_preprocessing() -> None:
    train, infer = ConfigParser(), ConfigParser()
    train.read_config(str(BUNDLES / NAME / "configs" / "train.json"))
    infer.read_config(str(BUNDLES / NAME / "configs" / "inference.json"))
    assert infer["network_def"] == {**train["network_def"], "drop_path": 0.0}
    for key in ("modalities", "scheme", "regions", "spacing", "roi", "patch_size"):
        assert infer[key] == train[key]
    for ours, theirs in zip(infer["deterministic_transforms"], train["train#deterministic_transforms"], strict=True):
        both = set(ours) - {"keys", "mode", "dtype"}
        assert {key: ours[key] for key in both} == {key: theirs[key] for key in both}
