"""Label servers with studies of their own and small untrained networks."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import pytest

from monai_mae_ext.phantoms import write_abdomen_phantoms
from tests.delivery.conftest import copy_of, write_weights, zoo  # noqa: F401  a fixture

NEEDED = "MONAI Label is not installed"


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable]:
    """A function that starts a server with the options of ``start_label_server``. They run until the tests end."""
    pytest.importorskip("monailabel", reason=NEEDED)
    from tests.label.label_server import Server

    servers = []

    def start(**options: object) -> Server:
        servers.append(Server(tmp_path_factory.mktemp("server"), **options))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


def small_bundles(room: Path, *names: str) -> Path:
    """Copies of bundles with an overlay ``tiny`` and untrained weights of its networks."""
    for name in names:
        bundle = copy_of(name, room)
        write_weights(bundle, bundle / "models")
    return room


@pytest.fixture(scope="session")
def abdomens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six abdominal phantoms in the Decathlon's layout."""
    return write_abdomen_phantoms(tmp_path_factory.mktemp("abdomens") / "msd", 6, spacing=6, test_fraction=0)


def labels_in(content: bytes) -> nib.Nifti1Image:
    """The labels in the answer to an inference."""
    return nib.Nifti1Image.from_bytes(gzip.decompress(content))
