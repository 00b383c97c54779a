"""Tumour segmentation over HTTP from a packed bundle: four sequences in one file, code that the bundle carries."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.delivery.conftest import copy_of, pack_tiny, write_weights
from tests.label.conftest import labels_in

MODEL = "mri_tumor_segmentation"


@pytest.fixture(scope="module")
def zoo(tmp_path_factory) -> Path:
    room = tmp_path_factory.mktemp("zoo")
    bundle = copy_of(MODEL, room)
    pack_tiny(bundle, room / "dist", write_weights(bundle, room / "weights"))
    return room / "dist"


@pytest.fixture(scope="module")
def server(start_server, brains, zoo, tmp_path_factory):
    studies = tmp_path_factory.mktemp("studies")
    shutil.copytree(brains / "imagesTr", studies, dirs_exist_ok=True)
    first = nib.load(next(studies.glob("*.nii.gz")))
    nib.save(first.slicer[..., 0], studies / "flair.nii.gz")
    return start_server(
        studies=str(studies), bundles=str(zoo), environment={"MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}
    )


@pytest.fixture
def patient(server) -> Path:
    return min(Path(server.options["studies"]).glob("*_*.nii.gz"))


def test_labels_of_four_sequences_lie_on_their_grid(server, patient):
    source = nib.load(patient)
    labels = labels_in(server.infer(MODEL, patient.name[:-7]).content)
    assert labels.shape == source.shape[:3] and source.shape[3] == 4
    assert np.allclose(labels.affine, source.affine, atol=1e-3)
    assert set(np.unique(labels.get_fdata())) <= {0, 1, 2, 3}


def test_clients_get_the_names_of_labels_and_not_of_regions(server):
    names = server.answer("GET", "/info/")["models"][MODEL]["labels"]
    assert names == {"edema": 1, "non-enhancing tumor": 2, "enhancing tumor": 3}


def test_a_single_sequence_is_refused(server):
    response = server.infer(MODEL, "flair")
    assert response.status_code == 422
    assert "the model takes 3-D images with 4 channels along a fourth axis" in response.json()["detail"]


def test_training_runs_the_code_that_the_bundle_carries(server, brains, patient):
    before = server.infer(MODEL, patient.name[:-7]).content
    for path in sorted((brains / "labelsTr").iterdir())[:2]:
        server.save_label(path.name[:-7], path)
    task = server.train(MODEL, max_epochs=1)
    assert task["status"] == "DONE", task["details"]
    assert server.infer(MODEL, patient.name[:-7]).content != before
    server.kill()
    server.start()  # what was trained in the unpacked bundle stays
    assert server.infer(MODEL, patient.name[:-7]).content != before
