"""Servers of a clinic, where they were set up: ``make test-clinic``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monai_mae_ext.phantoms import write_abdomen_studies
from tests.clinic.debian import ORTHANC
from tests.clinic.orthanc import Orthanc, running_orthanc
from tests.label.conftest import small_bundles, start_server  # noqa: F401  a fixture

MODEL = "ct_multiorgan_segmentation"


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three CT studies."""
    return write_abdomen_studies(tmp_path_factory.mktemp("studies") / "ct", 3, spacing=6)


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory, studies: Path) -> Iterator[Orthanc]:
    """A PACS that holds the studies."""
    if not ORTHANC.is_dir():
        pytest.skip("Orthanc is not set up: make test-clinic does it")
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as server:
        server.store(studies.rglob("*.dcm"))
        yield server


@pytest.fixture(scope="module")
def organs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The organ bundle with a tiny untrained network."""
    return small_bundles(tmp_path_factory.mktemp("bundles"), MODEL) / MODEL


@pytest.fixture(scope="module")
def server(start_server, pacs: Orthanc, organs: Path, tmp_path_factory: pytest.TempPathFactory):  # noqa: F811
    """A label server on the PACS."""
    cache = {"MONAI_LABEL_DICOMWEB_CACHE_PATH": str(tmp_path_factory.mktemp("cache"))}
    return start_server(environment=cache, studies=pacs.dicomweb, bundles=str(organs.parent), overlays="tiny")
