"""The overlays ``context_masking.json``, ``hd.json`` and ``hd_paper.json`` of the chest X-ray pre-training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser
from monai.data.utils import set_rnd

from monai_mae_ext.handlers.history import read_history
from monai_mae_ext.transforms import RegionMasking
from tests.bundles.conftest import BUNDLES, TINY, run_bundle

NAME = "cxr_mae_pretraining"
CONFIGS = BUNDLES / NAME / "configs"
COMMON = [str(CONFIGS / "train.json"), str(CONFIGS / "context_masking.json")]


def batch_of(films: Path, **overrides: object) -> dict:
    parser = ConfigParser(ConfigParser.load_config_files([*COMMON, str(TINY)]))
    parser.update({"dataset_dir": str(films), "device": "cpu", "batch_size": 16, "image_size": 128, **overrides})
    loader = parser.get_parsed_content("train#dataloader")
    set_rnd(loader.dataset, 0)
    torch.manual_seed(0)
    return next(iter(loader))


def test_arms_of_the_ablation_see_equally_many_tokens_and_the_contour_hides_the_chest(films: Path) -> None:
    masking = RegionMasking(16)
    inside, regions = {}, torch.empty(0)
    for arm, overrides in {
        "contour": {"inside_ratio": 0.95, "outside_ratio": 0.5},
        "random": {"inside_ratio": 0.95, "outside_ratio": 0.5, "thorax_method": "none"},
        "box": {"inside_ratio": 0.95, "outside_ratio": 0.5, "thorax_method": "box"},
    }.items():
        batch = batch_of(films, **overrides)
        visible, hidden = batch["visible"], batch["hidden"]
        assert visible.shape == (16, 23) and hidden.shape == (16, 41)
        if arm == "random":
            assert not batch["thorax"].any()  # equal crops: it is judged by the contours of the first arm
        else:
            regions = torch.stack([torch.from_numpy(masking.inside_tokens(mask, [8, 8])) for mask in batch["thorax"]])
        inside[arm] = regions.gather(1, visible).float().sum() / regions.sum()
    assert inside["contour"] < inside["random"] / 2 and inside["box"] < 0.7 * inside["random"]


@pytest.mark.bundle
def test_training_and_evaluation(films: Path, tmp_path: Path) -> None:
    keys = {"dataset_dir": films, "ckpt_dir": tmp_path / "models", "ramp_epochs": 2}
    configs = ["train.json", str(TINY), "context_masking.json"]
    done = run_bundle(NAME, "training", configs, output_dir=tmp_path / "train", **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    assert read_history(tmp_path / "train" / "history.csv")[-1]["epoch"] == 3
    done = run_bundle(NAME, "evaluating", [*configs, "evaluate.json"], output_dir=tmp_path / "evaluate", **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "evaluate" / "evaluation.json").is_file()


@pytest.mark.parametrize(
    ("overlays", "tokens", "visible", "predicted", "width"),
    [(["hd.json"], 6400, 752, 1412, 768), (["hd.json", "hd_paper.json"], 400, 47, 353, 1024)],
    ids=["fine", "paper"],
)
def test_profiles_at_1280_pixels(overlays, tokens, visible, predicted, width) -> None:
    parser = ConfigParser(ConfigParser.load_config_files([*COMMON, *(str(CONFIGS / name) for name in overlays)]))
    parser.update({"network_def#num_layers": 1, "network_def#decoder_num_layers": 1})
    network = parser.get_parsed_content("network_def")
    assert network.n_tokens == tokens and network.encoder.norm.weight.shape == (width,)
    masking = parser.get_parsed_content("train#masking")
    assert tuple(map(len, masking(torch.zeros(1, 1280, 1280)))) == (visible, predicted)
