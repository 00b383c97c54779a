"""A training step asks the device for no number: the host would wait for it, and the device then for the host."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigParser
from torch.utils._python_dispatch import TorchDispatchMode

from tests.delivery.conftest import TINY as OVERLAYS
from tests.delivery.test_packed_bundle import RUNS

BUNDLES = Path(__file__).parents[2] / "bundles"
pytestmark = pytest.mark.bundle


class NoReading(TorchDispatchMode):
    """Note who reads a number out of a tensor: ``.item()``, ``float()``, ``if tensor`` and such."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            self.readers.append("".join(traceback.format_stack(limit=8)))
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def cuda_that_does_not_wait() -> Iterator[None]:
    """Where there is a GPU, whatever waits for it raises."""
    if torch.cuda.is_available():
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", RUNS)
def test_no_step_waits_for_the_device(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """From the batch to the last handler, between the looks that guard, progress bar and TensorBoard take."""
    files = [BUNDLES / name / "configs" / "train.json", Path(__file__).parent / OVERLAYS[name]]
    parser = ConfigParser(ConfigParser.load_config_files(files))
    parser.read_meta(BUNDLES / name / "configs" / "metadata.json")
    data = request.getfixturevalue(RUNS[name])
    places = {"dataset_dir": str(data), "ckpt_dir": str(tmp_path / "models"), "output_dir": str(tmp_path / "out")}
    parser.update(places | {"bundle_root": str(BUNDLES / name), "epochs": 1, "val_interval": 2, "batch_size": 1})
    for handler in parser["train#handlers"]:
        if handler["_target_"].endswith(("NonFiniteGuard", "LossProgressBar")):
            handler["look_every"] = 1000
        if handler["_target_"] == "TensorBoardStatsHandler":
            handler["iteration_log"] = 1000
    parser.parse(True)
    for expression in ("initialize", "run"):
        parser.get_parsed_content(f"{expression}#0")
    trainer = parser.get_parsed_content("train#trainer")
    modes: list[NoReading] = []

    def enter(engine: Engine) -> None:
        modes.append(NoReading())
        steps.enter_context(cuda_that_does_not_wait())
        steps.enter_context(modes[-1])

    trainer.add_event_handler(Events.ITERATION_STARTED, enter)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: steps.close())
    with contextlib.ExitStack() as steps:
        trainer.run()
    later = modes[1:]  # the first look is due at the first step
    assert later, "one step tells nothing: more scans, or a smaller batch"
    assert not [reader for mode in later for reader in mode.readers]
