"""A real PACS for tests: Orthanc with its DICOMweb plugin, on this machine only."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import Dataset

from tests.clinic.debian import ORTHANC, environment_of

START_SECONDS = 60


class Orthanc:
    """A running server at ``address``; its DICOMweb root is ``dicomweb``."""

    def __init__(self, address: str) -> None:
        self.address, self.dicomweb = address, f"{address}/dicom-web"

    def ask(self, path: str, data: bytes | None = None) -> Any:
        """What the server answers to GET, or to POST with ``data``: JSON where it is that."""
        request = urllib.request.Request(self.address + path, data=data)
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = answer.read()
        return json.loads(content) if content[:1] in b"[{" else content

    def store(self, paths: Iterable[Path]) -> None:
        for path in paths:
            self.ask("/instances", path.read_bytes())

    def series(self) -> list[dict[str, Any]]:
        """The main tags of all series, with Orthanc's ``ID`` and ``Instances``."""
        return [
            {"ID": series["ID"], "Instances": series["Instances"], **series["MainDicomTags"]}
            for series in self.ask("/series?expand")
        ]

    def find_series(self, study: Dataset) -> list[dict[str, Any]]:
        """QIDO-RS: the series of a study, as DICOM JSON."""
        return self.ask(f"/dicom-web/studies/{study.StudyInstanceUID}/series")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_orthanc(folder: Path) -> Iterator[Orthanc]:
    """Orthanc with an empty storage in ``folder``, stopped at the end."""
    port = free_port()
    (plugin,) = (ORTHANC / "usr" / "lib" / "orthanc").glob("libOrthancDicomWeb.so*")
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "Plugins": [str(plugin)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orthanc.json").write_text(json.dumps(settings))
    environment = environment_of(ORTHANC) | {"DCMDICTPATH": str(ORTHANC / "usr" / "share" / "libdcmtk17" / "dicom.dic")}
    with open(folder / "log.txt", "w") as log:
        command = [str(ORTHANC / "usr" / "sbin" / "Orthanc"), str(folder / "orthanc.json")]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    server = Orthanc(f"http://127.0.0.1:{port}")
    try:
        wait_for(server, process, folder / "log.txt")
        yield server
    finally:
        process.terminate()
        process.wait(30)


def wait_for(server: Orthanc, process: subprocess.Popen, log: Path) -> None:
    for _ in range(START_SECONDS * 5):
        try:
            server.ask("/system")
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.2)
    raise RuntimeError(f"Orthanc did not start: {log.read_text()[-2000:]}")
