"""With items on disk every bundle walks the path that it walks with items in memory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.bundles.conftest import run_bundle
from tests.delivery.conftest import TINY
from tests.delivery.test_packed_bundle import RUNS

pytestmark = pytest.mark.bundle


@pytest.mark.parametrize("name", ["cxr_report_generation", "ct_superpatch_pretraining", "mri_tumor_segmentation"])
def test_the_same_losses_and_weights(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The second epoch reads what the first one wrote."""
    data = request.getfixturevalue(RUNS[name])
    configs = ["train.json", str(Path(__file__).parent / TINY[name])]
    tables, weights = [], []
    for run, cache in (("memory", "$None"), ("disk", tmp_path / "cache")):
        places = {"dataset_dir": data, "ckpt_dir": tmp_path / run / "models", "output_dir": tmp_path / run / "train"}
        done = run_bundle(name, "training", configs, cache_dir=cache, epochs=2, **places)
        assert done.returncode == 0, done.stderr[-3000:]
        tables.append(pd.read_csv(tmp_path / run / "train" / "history.csv").drop(columns="seconds"))
        weights.append(torch.load(tmp_path / run / "models" / "model.pt", weights_only=True))
    pd.testing.assert_frame_equal(*tables, rtol=0, atol=0)
    assert all(torch.equal(weights[1][key], value) for key, value in weights[0].items())
    assert list((tmp_path / "cache").rglob("*.safetensors"))
