"""Servers of a clinic, where they were set up: ``make test-clinic``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clinic.orthanc import ROOT, Orthanc, running_orthanc
from tests.delivery.conftest import copy_of, write_weights
from tests.label.conftest import start_server  # noqa: F401  a fixture


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    if not ROOT.is_dir():
        pytest.skip("Orthanc is not set up: make test-clinic does it")
    with running_orthanc(tmp_path / "orthanc") as server:
        yield server


@pytest.fixture(scope="module")
def organs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The organ bundle with a tiny untrained network."""
    bundle = copy_of("ct_multiorgan_segmentation", tmp_path_factory.mktemp("bundles"))
    write_weights(bundle, bundle / "models")
    return bundle
