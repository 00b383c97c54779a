"""Classification of chest films over HTTP: probabilities as JSON, training on findings that were saved as JSON."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from monai_mae_ext.data import CHESTXRAY14_LABELS
from monai_mae_ext.familiarity import Familiarity
from monai_mae_ext.phantoms import write_chest_phantoms
from tests.delivery.conftest import copy_of

MODEL = "cxr_disease_classification"


@pytest.fixture(scope="module")
def findings(tmp_path_factory) -> dict[Path, list[str]]:
    """What is to be seen in each film."""
    folder = write_chest_phantoms(tmp_path_factory.mktemp("films") / "cxr", n_films=24, size=96, dicom_fraction=0)
    with open(folder / "Data_Entry_2017.csv") as file:
        rows = [list(row.values())[:2] for row in csv.DictReader(file)]
    return {folder / "images" / name: [word for word in text.split("|") if word != "No Finding"] for name, text in rows}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """A bundle that was never trained, and refuses what is no film."""
    folder = copy_of(MODEL, tmp_path_factory.mktemp("bundles"))
    tiny = folder / "configs" / "tiny.json"
    tiny.write_text(json.dumps(json.loads(tiny.read_text()) | {"refuse_unfamiliar": True}))
    return folder


@pytest.fixture(scope="module")
def server(start_server, findings, bundle, tmp_path_factory):
    studies = tmp_path_factory.mktemp("studies")
    for film in findings:
        shutil.copy(film, studies)
    Image.open(film).convert("RGB").save(studies / "colour.png")
    (studies / "garbage.png").write_bytes(b"garbage")
    return start_server(
        studies=str(studies),
        bundles=str(bundle.parent),
        overlays="tiny",
        environment={"MONAI_LABEL_AUTO_UPDATE_SCORING": "false"},
    )


def find_familiar(bundle: Path, up_to: float) -> None:
    """Let films be familiar up to a distance, which is at most 2."""
    path = bundle / "models" / "familiarity.safetensors"
    familiarity = Familiarity.load(path)
    familiarity.threshold = up_to
    familiarity.save(path)


def test_without_weights_a_model_is_not_listed_and_says_so(server):
    assert server.answer("GET", "/info/")["models"] == {}
    response = server.infer(MODEL, "colour", "json")
    assert response.status_code == 422 and f"{MODEL} has no weights yet: train it first" in response.json()["detail"]


def test_training_on_saved_findings_gives_calibrated_weights(server, bundle, findings, tmp_path):
    for path, names in findings.items():
        label = tmp_path / f"{path.stem}.json"
        label.write_text(json.dumps({"findings": names}))
        server.save_label(path.stem, label)
    task = server.train(MODEL, max_epochs=1, val_split=0.4)
    assert task["status"] == "DONE", task["details"]
    assert f"{MODEL} starts from scratch" in task["details"]
    assert (bundle / "models" / "calibration.json").is_file()
    assert server.answer("GET", "/info/")["models"][MODEL]["type"] == "classification"


@pytest.mark.parametrize("image", ["colour", "00000001_000"])
def test_a_film_gets_a_probability_for_each_finding(server, bundle, image):
    find_familiar(bundle, up_to=2.1)
    answer = server.infer(MODEL, image, "json").json()
    assert [row["label"] for row in answer["prediction"]] == list(CHESTXRAY14_LABELS)
    assert all(0 <= row["score"] <= 1 for row in answer["prediction"])
    assert set(answer["findings"]) <= set(CHESTXRAY14_LABELS)


def test_what_does_not_look_like_a_film_is_refused(server, bundle):
    find_familiar(bundle, up_to=-1)
    response = server.infer(MODEL, "colour", "json")
    assert response.status_code == 422 and "does not look like the films" in response.json()["detail"]
    assert "garbage.png cannot be read as an image" in server.infer(MODEL, "garbage", "json").json()["detail"]


def test_batch_inference_keeps_findings_as_labels(server, bundle):
    find_familiar(bundle, up_to=2.1)
    result = server.answer("POST", f"/batch/infer/{MODEL}?images=unlabeled&run_sync=true", json={})
    assert result["colour"]["label"] == "colour"
    label = server.answer("GET", "/datastore/label?label=colour&tag=original")
    assert label["findings"] == result["colour"]["params"]["findings"]
