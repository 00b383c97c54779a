"""A zoo of all bundles with tiny untrained networks, and a web server for it."""

from __future__ import annotations

import functools
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from monai_mae_ext.delivery.pack import pack
from monai_mae_ext.delivery.packed_files import build_network, read_configs
from monai_mae_ext.metrics import Calibration
from monai_mae_ext.reports import ReportTokenizer
from tests.bundles.conftest import BUNDLES
from tests.delivery.small_bundle import write_bundle

TINY = {
    "cxr_mae_pretraining": "tiny.json",
    "cxr_disease_classification": "tiny_classifier.json",
    "cxr_report_generation": "tiny_report.json",
    "ct_superpatch_pretraining": "tiny_superpatch.json",
    "ct_multiorgan_segmentation": "tiny_segmenter.json",
    "mri_tumor_pretraining": "tiny_superpatch.json",
    "mri_tumor_segmentation": "tiny_segmenter.json",
}
"""Each bundle with an overlay that makes it small."""


def copy_of(bundle: str, folder: Path) -> Path:
    """A bundle with its tiny overlay among the configurations."""
    copy = folder / bundle
    shutil.copytree(BUNDLES / bundle, copy, ignore=shutil.ignore_patterns("models", "eval"))
    shutil.copy(BUNDLES.parent / "tests" / "bundles" / TINY[bundle], copy / "configs" / "tiny.json")
    return copy


def write_weights(bundle: Path, folder: Path) -> Path:
    """What a training of one epoch would have left of the bundle's tiny network."""
    torch.manual_seed(0)
    weights = build_network(bundle, read_configs(bundle, ["tiny"])).state_dict()
    folder.mkdir()
    torch.save(weights, folder / "model.pt")
    torch.save({"facts": {}, "network": weights, "epoch": 1, "best": {"metric": 0.5, "epoch": 1}}, folder / "last.pt")
    if bundle.name == "cxr_report_generation":
        ReportTokenizer.fit(["the lungs are clear ."] * 3, 100).save(folder / "tokenizer.json")
        Calibration.neutral([]).save(folder / "calibration.json")
    return folder


def pack_tiny(bundle: Path, zoo: Path, weights: Path) -> None:
    pack(str(bundle), str(zoo), str(weights), ["tiny"], data_source="nothing at all")


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All bundles, packed."""
    room = tmp_path_factory.mktemp("zoo")
    for name in TINY:
        bundle = copy_of(name, room / "bundles")
        pack_tiny(bundle, room / "dist", write_weights(bundle, room / f"{name} weights"))
    return room / "dist"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator:
    """A function that serves a folder on this machine until the test ends, and returns its address."""
    servers = []

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()


def set_version(bundle: Path, version: str) -> None:
    path = bundle / "configs" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["version"] = version
    metadata["changelog"][version] = "another"
    path.write_text(json.dumps(metadata))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A small bundle without faults, to be given some."""
    return write_bundle(tmp_path / "seg")
