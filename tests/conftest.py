"""What all tests share. It imports what it needs late: the process that deals tests out to workers needs nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is there: behind threads of OpenMP a fork waits for ever


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The pages of the docs first, which take longest, and the small tests last, so that the workers end alike."""
    first = ("docs", "bundles", "bench", "tests", "delivery", "label")

    def rank(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return first.index(folder) if folder in first else len(first)

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A worker gets a file at a time, for its tests may need each other's servers; of tests/docs a test."""
    from xdist.scheduler import LoadScopeScheduling

    class FileOrPage(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if nodeid.startswith("tests/docs/") else nodeid.split("::", 1)[0]

    return FileOrPage(config, log)


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ChestX-ray14 layout of phantoms, a quarter of them DICOM."""
    from monai_mae_ext.phantoms import write_chest_phantoms

    return write_chest_phantoms(tmp_path_factory.mktemp("films") / "cxr", n_films=32, size=96, dicom_fraction=0.25)


@pytest.fixture(scope="session")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven small CT-like volumes with labels, two of them for test."""
    from tests.volumes import write_volumes

    return write_volumes(tmp_path_factory.mktemp("volumes") / "ct")


@pytest.fixture(scope="session")
def brains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven coarse brain phantoms of four sequences in the Decathlon's layout, two of them for test."""
    from monai_mae_ext.phantoms import write_brain_phantoms

    return write_brain_phantoms(tmp_path_factory.mktemp("brains") / "msd", 7, spacing=6, test_fraction=0.3)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of small public data sets, or a skip that says how to get one."""
    folder = os.environ.get("MAE_BUNDLES_DATA")
    if not folder:
        pytest.skip("MAE_BUNDLES_DATA does not name a folder with the sample data sets")
    return Path(folder)


@pytest.fixture
def forked_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bundles that a benchmark starts are forked from a process that has imported MONAI."""

    from tests.processes import run_module

    def run(command: list[str], stdout: IO[str] | int | None = None, **options: Any) -> None:
        done = run_module(command[2], command[3:])
        if hasattr(stdout, "write"):
            stdout.write(done.stdout + done.stderr)
        done.check_returncode()

    monkeypatch.chdir(Path(__file__).parents[1])
    forked = SimpleNamespace(run=run, STDOUT=subprocess.STDOUT, DEVNULL=subprocess.DEVNULL)
    for name in ("self_pretraining", "plan_check", "film_rate"):
        monkeypatch.setattr(f"benchmarks.{name}.subprocess", forked)
