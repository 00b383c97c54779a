"""Every command of the model cards is run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.docs.pages import CARDS, commands, run_page, shrunk

pytestmark = pytest.mark.bundle


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.parts[-3])
def test_commands_of_model_cards(card: Path, films: Path, volumes: Path, brains: Path, tmp_path: Path) -> None:
    """They run from the bundle's own folder, with its defaults for where things go."""
    bundle = tmp_path / card.parts[-3]
    shutil.copytree(card.parents[1], bundle, ignore=shutil.ignore_patterns("models", "eval"))
    lines = [shrunk(line, bundle.name) for line in commands(card, "bash")]
    data = {"cxr": films, "ct": volumes, "mri": brains}[bundle.name.partition("_")[0]]
    run_page(bundle, [line.replace("--dataset_dir DIR", f"--dataset_dir {data}") for line in lines])
    kinds = ("panel", "saliency", "overlay", "report")
    pictures = [path for kind in kinds for path in (bundle / "eval").rglob(f"*_{kind}.png")]
    assert (bundle / "models" / "model.pt").is_file() and pictures
