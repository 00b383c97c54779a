"""Scores, who is served next, which images validate, and what a training starts from."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import torch

from monai_mae_ext.checksums import sum_beside
from monai_mae_ext.errors import UserError
from monai_mae_ext.label.bundle import LabelBundle
from monai_mae_ext.label.training_data import read_findings, split
from tests.label.conftest import NEEDED, small_bundles

scoring = pytest.importorskip("monai_mae_ext.label.scoring", reason=NEEDED)
strategy = pytest.importorskip("monai_mae_ext.label.strategy", reason=NEEDED)
train = pytest.importorskip("monai_mae_ext.label.train", reason=NEEDED)


def test_entropy_of_classes_and_of_regions():
    even = torch.zeros(4, 2, 2)
    assert torch.allclose(scoring.entropy(even, exclusive=True), torch.tensor(math.log(4)))
    assert torch.allclose(scoring.entropy(even, exclusive=False), torch.tensor(math.log(2)))
    sure = torch.tensor([200.0, -200.0])[:, None]
    assert scoring.entropy(sure, exclusive=True).item() == scoring.entropy(sure, exclusive=False).item() == 0


class Store:
    """Images without label, and when each was served."""

    def __init__(self, **served: int) -> None:
        self.served = served

    def get_unlabeled_images(self, *words: object) -> list[str]:
        return list(self.served)

    def get_image_info(self, image: str) -> dict:
        return {"strategy": {"random": {"ts": self.served[image]}}} if self.served[image] else {}


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        ({"low": 0, "high": 0, "bad": 0, "new": 0}, "high"),
        ({"low": 0, "high": 9, "bad": 0, "new": 0}, "low"),
        ({"high": 9, "bad": 0, "new": 0}, "bad"),
        ({"low": 8, "high": 9}, "low"),
    ],
)
def test_the_highest_score_that_nobody_was_given_comes_first(tmp_path, served, expected):
    scores = scoring.Scores(tmp_path, "error", "studies")
    for image, score in {"low": 0.1, "high": 0.9, "bad": None}.items():
        scores.note(image, score, weights=1)
    assert strategy.HighestScore("error", scores)({}, Store(**served))["id"] == expected


def test_without_images_nothing_is_served(tmp_path):
    assert strategy.HighestScore("error", scoring.Scores(tmp_path, "error", "studies"))({}, Store()) is None


def items(count: int) -> list[dict]:
    return [{"image": f"/scans/{number}.nii.gz"} for number in range(count)]


def test_images_added_later_move_none_between_training_and_validation():
    few, many = split(items(20), 0.2), split(items(40), 0.2)
    for before, after in zip(few, many, strict=True):
        assert {item["image"] for item in before} <= {item["image"] for item in after}
    assert not {item["image"] for item in many[0]} & {item["image"] for item in many[1]}


@pytest.mark.parametrize(("count", "share", "sizes"), [(1, 0.2, (1, 1)), (2, 0.01, (1, 1)), (3, 0, (3, 3))])
def test_something_always_validates(count, share, sizes):
    training, validation = split(items(count), share)
    assert (len(training), len(validation)) == sizes


def test_few_films_are_trained_on_without_calibration(tmp_path):
    bundle = LabelBundle(small_bundles(tmp_path, "cxr_disease_classification") / "cxr_disease_classification", ["tiny"])
    config = dict(bundle.merged("train"))
    task = train.ClassificationTraining(bundle, [])
    assert task.others(config, items(5)) == {}
    assert [step.split("(")[0] for step in task.others(config, items(4))["run"]] == [
        "$monai_mae_ext.bundle.start_bundle",
        "$@train#trainer.run",
    ]


@pytest.mark.parametrize("text", ["spleen", "[]", '{"prediction": []}', '{"findings": ["Spleen"]}'])
def test_labels_of_films_that_are_something_else_are_named(tmp_path, text):
    path = tmp_path / "film.json"
    path.write_text(text)
    with pytest.raises(UserError, match="film.json"):
        read_findings(str(path), ["Mass", "Nodule"])


@pytest.fixture
def task(tmp_path) -> train.SegmentationTraining:
    room = small_bundles(tmp_path, "ct_multiorgan_segmentation", "ct_superpatch_pretraining")
    model, pretraining = (LabelBundle(folder, ["tiny"]) for folder in sorted(room.iterdir()))
    pretraining.encoder.touch()
    later(pretraining.encoder, model.weights)
    return train.SegmentationTraining(model, [pretraining])


def later(path: Path, than: Path) -> None:
    os.utime(path, ns=(0, than.stat().st_mtime_ns + 1))


def start(task: train.SegmentationTraining, from_weights: bool = True) -> set[str]:
    return set(task.start(task.bundle.merged("train"), from_weights))


def test_a_training_starts_from_what_was_trained_here_last(task):
    encoder, weights = task.encoders[0].encoder, task.bundle.weights
    assert start(task) == {"pretrained"}
    later(weights, encoder)
    assert start(task) == {"weights_in_service", "initialize"}
    assert start(task, from_weights=False) == {"pretrained"}


def test_a_published_encoder_is_no_news(task):
    encoder, weights = task.encoders[0].encoder, task.bundle.weights
    sum_beside(encoder).touch()
    assert start(task) == {"weights_in_service", "initialize"}
    weights.unlink()
    assert start(task) == {"pretrained"}
    encoder.unlink()
    assert start(task) == set()


def test_a_run_without_weights_changes_nothing(task, tmp_path):
    before = task.bundle.weights.read_bytes()
    (tmp_path / "last.pt").touch()
    with pytest.raises(UserError, match="gave no weights"):
        task.deliver(tmp_path)
    assert task.bundle.weights.read_bytes() == before
