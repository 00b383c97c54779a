"""A label server that is really started, in a process of its own, and requests to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests

START = """import json, sys
from monai_mae_ext.label.server import start_label_server
start_label_server(**json.loads(sys.argv[1]))
"""
NOWHERE = "http://127.0.0.1:9"
"""A proxy that does not answer: whatever reaches out fails."""


class Server:
    """The server's process, and requests to it.

    Args:
        room: folder of its log and working folder.
        options: of ``start_label_server``; the port is drawn.
    """

    def __init__(self, room: Path, environment: dict[str, str] | None = None, **options: Any) -> None:
        self.log, self.options, self.own = room / "server.log", options, environment or {}
        self.options |= {"app_dir": str(room / "app"), "port": free_port()}
        self.url = f"http://127.0.0.1:{self.options['port']}"
        self.start()

    def start(self) -> None:
        environment = os.environ | {"HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE}
        environment |= {"NO_PROXY": "127.0.0.1", "PYTHONPATH": os.getcwd()} | self.own
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START, json.dumps(self.options)], stdout=log, stderr=log, env=environment
            )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                requests.get(f"{self.url}/info/", timeout=30).raise_for_status()
                return
            except requests.ConnectionError:
                time.sleep(0.2)
        raise RuntimeError(f"the server did not start: {self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def ask(self, verb: str, path: str, **others: Any) -> requests.Response:
        return requests.request(verb, f"{self.url}{path}", timeout=120, **others)

    def answer(self, verb: str, path: str, **others: Any) -> Any:
        """The JSON of an answer, which must be 200."""
        response = self.ask(verb, path, **others)
        assert response.status_code == 200, response.text
        return response.json()

    def infer(self, model: str, image: str, output: str = "image", **params: Any) -> requests.Response:
        data = {"params": json.dumps(params)}
        return self.ask("POST", f"/infer/{model}?image={image}&output={output}", data=data)

    def save_label(self, image: str, path: Path, **params: Any) -> None:
        with open(path, "rb") as file:
            data = {"params": json.dumps(params)}
            self.answer("PUT", f"/datastore/label?image={image}&tag=final", files={"label": file}, data=data)

    def train(self, model: str, **settings: Any) -> dict[str, Any]:
        self.answer("POST", f"/train/{model}", json=settings)
        return self.wait_for("train")

    def wait_for(self, method: str) -> dict[str, Any]:
        """The newest task of a method, when all are over."""
        for _ in range(600):
            tasks = self.answer("GET", f"/{method}/?all=true")
            if all(task["status"] in ("DONE", "ERROR", "STOPPED") for task in tasks):
                return tasks[-1]
            time.sleep(0.2)
        raise RuntimeError(f"{method} did not end: {tasks}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
