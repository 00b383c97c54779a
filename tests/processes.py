"""Commands of a user, each in a process of its own: forked from one that has imported MONAI, which takes seconds."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import own_process
from benchmarks.own_process import FORKS

__all__ = ["FORKS", "run_module"]


def run_module(
    module: str, arguments: Sequence[str], folder: str | Path = ".", timeout: float = 300, hidden: str | None = None
) -> subprocess.CompletedProcess:
    """What ``python -m module arguments`` in ``folder`` returns and prints, as ``subprocess.run`` tells it.

    ``hidden`` names a package that is not installed there.
    """
    if module == "torch.distributed.run":
        arguments = _with_forked_ranks(arguments)
    with tempfile.TemporaryDirectory() as logs:
        out, err = Path(logs, "out"), Path(logs, "err")
        process = FORKS.Process(
            target=_be_python, args=(module, list(arguments), str(folder), dict(os.environ), hidden, str(out), str(err))
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired([module, *arguments], timeout)
        words = [path.read_text() if path.exists() else "" for path in (out, err)]
        return subprocess.CompletedProcess([module, *arguments], process.exitcode, *words)


def _be_python(
    module: str, arguments: list[str], folder: str, environment: dict[str, str], hidden: str | None, *logs: str
) -> None:
    for number, log in enumerate(logs, start=1):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), number)
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[0] = os.getcwd()
    sys.argv = [module, *arguments]
    own_process.FORKS = multiprocessing.get_context("fork")  # another server would import MONAI anew
    if hidden is not None:
        _forget(hidden)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except Exception:
        sys.excepthook(*sys.exc_info())
        sys.exit(1)


def _with_forked_ranks(arguments: Sequence[str]) -> list[str]:
    """``torchrun``'s arguments, for ranks that are forked from it and need not import MONAI either."""
    place = arguments.index("-m")
    script = importlib.util.find_spec(f"{arguments[place + 1]}.__main__").origin
    return [*arguments[:place], "--run-path", "--start-method=fork", script, *arguments[place + 2 :]]


def _forget(package: str) -> None:
    """From now on ``import package`` fails, as where it is not installed."""
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]
    sys.modules[package] = None  # type: ignore[assignment]
