"""Organ segmentation over HTTP: an annotator's day, and what goes wrong in it. The tests follow one another."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.label.conftest import labels_in, small_bundles

MODEL, PRETRAINING = "ct_multiorgan_segmentation", "ct_superpatch_pretraining"
ENTROPY, ERROR = f"{MODEL}_entropy", f"{PRETRAINING}_error"
BAD = {
    "channels": "16 x 16 x 16 x 4",
    "flat": "16 x 16,",
    "garbage": "garbage.nii.gz cannot be read as an image",
    "cut": "cut",
    "nowhere": "no image nowhere",
}
"""Images that no model here can take, and what the client is told."""


def save(path: Path, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(-200, 200, shape, np.int16)
    nib.save(nib.Nifti1Image(values, np.diag([8.0, 8, 8, 1])), path)


@pytest.fixture(scope="module")
def studies(abdomens, tmp_path_factory) -> Path:
    """The phantoms' images, one that is smaller than a crop, and bad ones."""
    folder = tmp_path_factory.mktemp("studies")
    shutil.copytree(abdomens / "imagesTr", folder, dirs_exist_ok=True)
    save(folder / "small.nii.gz", (9, 8, 7))
    save(folder / "channels.nii.gz", (16, 16, 16, 4))
    save(folder / "flat.nii.gz", (16, 16))
    (folder / "garbage.nii.gz").write_bytes(b"garbage")
    (folder / "cut.nii.gz").write_bytes((folder / "phantom_0001.nii.gz").read_bytes()[:9000])
    return folder


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> Path:
    return small_bundles(tmp_path_factory.mktemp("bundles"), MODEL, PRETRAINING)


@pytest.fixture(scope="module")
def server(start_server, studies, bundles):
    return start_server(studies=str(studies), bundles=str(bundles), overlays="tiny")


def scores(server, method: str) -> dict[str, dict]:
    [path] = Path(server.options["app_dir"], "scores").glob(f"{method}_*.json")
    return json.loads(path.read_text())


def test_info_names_models_trainings_strategies_and_every_organ(server):
    info = server.answer("GET", "/info/")
    organs = info["models"][MODEL]["labels"]
    assert list(info["models"]) == [MODEL]
    assert len(organs) == 13 and organs["spleen"] == 1 and organs["left adrenal gland"] == 13
    assert info["labels"] == list(organs)
    assert set(info["trainers"]) == {MODEL, PRETRAINING}
    assert set(info["strategies"]) == {"random", ENTROPY, ERROR}


def test_pages_of_other_origins_may_not_read(server):
    headers = server.ask("GET", "/info/", headers={"Origin": "http://elsewhere.example"}).headers
    assert "access-control-allow-origin" not in headers
    own = server.ask("GET", "/info/", headers={"Origin": server.url}).headers
    assert own["access-control-allow-origin"] == server.url


@pytest.mark.parametrize("image", ["phantom_0001", "phantom_0002", "phantom_0004", "small"])
def test_labels_lie_on_the_grid_of_the_image(server, studies, image):
    source, labels = nib.load(studies / f"{image}.nii.gz"), labels_in(server.infer(MODEL, image).content)
    assert labels.shape == source.shape
    assert np.allclose(labels.affine, source.affine, atol=1e-3)
    assert set(np.unique(labels.get_fdata())) <= set(range(14))


def test_names_come_with_the_labels(server):
    assert server.infer(MODEL, "phantom_0001", "json").json()["label_names"]["pancreas"] == 11


@pytest.mark.parametrize("image", BAD)
def test_an_image_that_the_model_cannot_take_is_told_in_one_line(server, image):
    response = server.infer(MODEL, image)
    assert response.status_code in (404, 422, 500)
    assert BAD[image] in response.json()["detail"] and "\n" not in response.json()["detail"]
    assert server.infer(MODEL, "phantom_0001").status_code == 200


def test_an_unknown_model_is_told_with_those_that_there_are(server):
    response = server.infer("liver_segmentation", "phantom_0001")
    assert response.status_code == 404 and MODEL in response.json()["detail"]


def test_training_needs_labels(server):
    task = server.train(MODEL, max_epochs=1)
    assert task["status"] == "ERROR"
    assert f"error: no image has a final label: save one before {MODEL} is trained" in task["details"]


def test_training_on_saved_labels_changes_the_answers_and_the_server_answers_meanwhile(server, abdomens):
    for number in (1, 2, 3):
        name = f"phantom_000{number}"
        server.save_label(name, abdomens / "labelsTr" / f"{name}.nii.gz", label_info=[{"name": "spleen"}])
    pairs = server.answer("GET", "/datastore/?output=train")
    assert sorted(Path(pair["image"]).name for pair in pairs) == [f"phantom_000{number}.nii.gz" for number in (1, 2, 3)]
    before = server.infer(MODEL, "phantom_0004").content
    server.answer("POST", f"/train/{MODEL}", json={"max_epochs": 1})
    time.sleep(1)
    assert server.answer("GET", "/train/?check_if_running=true")["status"] == "RUNNING"
    assert server.infer(MODEL, "phantom_0004").content == before
    task = server.wait_for("train")
    assert task["status"] == "DONE", task["details"]
    assert any("starts from its weights" in line for line in task["details"])
    after = server.infer(MODEL, "phantom_0004").content
    assert (labels_in(after).get_fdata() != labels_in(before).get_fdata()).any()


def test_pretraining_on_all_images_lends_its_encoder_to_the_next_training(server, bundles):
    task = server.train(PRETRAINING, max_epochs=1)
    assert task["status"] == "DONE", task["details"]
    encoder = bundles / PRETRAINING / "models" / "encoder.safetensors"
    assert encoder.is_file()
    task = server.train(MODEL, max_epochs=1)
    assert task["status"] == "DONE", task["details"]
    assert f"{MODEL} starts from the encoder {encoder}" in task["details"]
    assert any(line.startswith(f"pre-trained weights {encoder}: MONAI layout: 30 loaded") for line in task["details"])


def test_strategies_serve_by_scores_that_are_computed_once_for_each_weights(server, bundles):
    for method in (ENTROPY, ERROR):  # on a busy machine the server may have been scoring when training asked for it
        server.wait_for("scoring")
        server.answer("POST", f"/scoring/{method}", json={})
    assert server.wait_for("scoring")["status"] == "DONE"
    for method, model in ((ENTROPY, MODEL), (ERROR, PRETRAINING)):
        weights = (bundles / model / "models" / "model.pt").stat().st_mtime_ns
        known = scores(server, method)
        fresh = {image: one["score"] for image, one in known.items() if one["weights"] == weights}
        assert {"phantom_0004", "phantom_0005", "phantom_0006", "small"} <= set(fresh)
        assert "phantom_0001" not in fresh and fresh["garbage"] is None
    count = len(server.answer("GET", "/scoring/?all=true"))
    ranked = sorted(
        (image for image, one in known.items() if one["score"] is not None and one["weights"] == weights),
        key=lambda image: -known[image]["score"],
    )
    served = [server.answer("POST", f"/activelearning/{ERROR}", json={})["id"] for _ in range(3)]
    assert served == ranked[:3]
    rest = [server.answer("POST", f"/activelearning/{name}", json={})["id"] for name in (ENTROPY, "random")]
    assert rest[0] not in served
    assert len(server.answer("GET", "/scoring/?all=true")) == count


def test_batch_inference_goes_on_behind_bad_images(server):
    result = server.answer("POST", f"/batch/infer/{MODEL}?images=unlabeled&run_sync=true", json={})
    assert BAD["garbage"] in result["garbage"]["error"]
    assert result["phantom_0006"]["label"] == "phantom_0006"
    tags = server.answer("GET", "/datastore/")["label_tags"]
    assert tags == {"final": 3, "original": 4}


def test_a_kill_in_training_loses_nothing(server, bundles):
    store = server.answer("GET", "/datastore/?output=all")
    answer = server.infer(MODEL, "phantom_0004").content
    weights = (bundles / MODEL / "models" / "model.pt").read_bytes()
    server.answer("POST", f"/train/{MODEL}", json={"max_epochs": 50})
    history = bundles / MODEL / "eval" / "label" / "history.csv"
    deadline = time.monotonic() + 60
    while not history.is_file() and time.monotonic() < deadline:
        time.sleep(0.1)
    server.kill()
    server.start()
    assert server.answer("GET", "/datastore/?output=all") == store
    assert (bundles / MODEL / "models" / "model.pt").read_bytes() == weights
    assert server.infer(MODEL, "phantom_0004").content == answer
