"""Where a training spends its time, bundle by bundle: waiting for data, and operator by operator.

Run from the top of the repository: python -m benchmarks.profiles --out runs/profiles

As many phantoms as `make quickstart` makes, and the sizes of each bundle's quick.json: of fewer films an epoch has so
few steps that waiting for the first batch is most of it. Each training runs in a process of its own: the first epoch
fills the cache and warms up, the next three are timed, and the first steps of one more run under torch's profiler,
whose shares are of the operators' own CPU time. Handlers count as work; validation comes last and is left out.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import fire
import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigParser
from monai.utils import ensure_tuple
from torch.profiler import ProfilerActivity, profile

from benchmarks.own_process import in_own_process
from monai_mae_ext.bench.machine import describe_machine, machine_line
from monai_mae_ext.files import atomic_write
from monai_mae_ext.phantoms import write_abdomen_phantoms, write_brain_phantoms, write_chest_phantoms

PHANTOMS: dict[str, Any] = {
    "cxr": lambda folder: write_chest_phantoms(folder, 400, size=256),
    "ct": lambda folder: write_abdomen_phantoms(folder, 24),
    "mri": lambda folder: write_brain_phantoms(folder, 30),
}
TIMED_EPOCHS = range(2, 5)
OPERATORS = 6
PROFILED_STEPS = 4


class Watch:
    """Seconds of each epoch, and of them those in which the loop waited for a batch; operators of the last epoch."""

    def __init__(self) -> None:
        self.waited: dict[int, float] = {}
        self.worked: dict[int, float] = {}
        self.steps: dict[int, int] = {}
        self.profiler = profile(activities=[ProfilerActivity.CPU])
        self.mark = 0.0

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.GET_BATCH_STARTED, self.start)
        engine.add_event_handler(Events.GET_BATCH_COMPLETED, lambda engine: self.add(engine, self.waited))
        engine.add_event_handler(Events.ITERATION_STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.finish)

    def start(self, engine: Engine) -> None:
        self.mark = time.perf_counter()

    def add(self, engine: Engine, seconds: dict[int, float]) -> None:
        epoch = engine.state.epoch
        seconds[epoch] = seconds.get(epoch, 0.0) + time.perf_counter() - self.mark

    def finish(self, engine: Engine) -> None:
        self.add(engine, self.worked)
        epoch = engine.state.epoch
        self.steps[epoch] = self.steps.get(epoch, 0) + 1
        if epoch == engine.state.max_epochs:
            if self.steps[epoch] == 1:
                self.profiler.start()
            elif self.steps[epoch] == 1 + PROFILED_STEPS or self.steps[epoch] == engine.state.epoch_length:
                self.profiler.stop()
                engine.terminate()

    def operators(self) -> list[tuple[str, float]]:
        """The operators that took most, and their shares of all operators' own time."""
        events = self.profiler.key_averages()
        whole = sum(event.self_cpu_time_total for event in events)
        most = sorted(events, key=lambda event: -event.self_cpu_time_total)[:OPERATORS]
        return [(event.key.removeprefix("aten::"), event.self_cpu_time_total / whole) for event in most]


def train(bundle: str, data: Path, out: Path, threads: int, overlays: list[str]) -> dict[str, Any]:
    """A few epochs of a bundle's training: a row of the table."""
    torch.set_num_threads(threads)
    configs = [f"{bundle}/configs/{name}.json" for name in ("train", "quick")] + overlays
    parser = ConfigParser(ConfigParser.load_config_files(configs))
    parser.read_meta(f"{bundle}/configs/metadata.json")
    places = {"dataset_dir": str(data), "ckpt_dir": str(out / "models"), "output_dir": str(out / "train")}
    epochs = {"epochs": TIMED_EPOCHS.stop, "val_interval": TIMED_EPOCHS.stop + 1, "warmup_epochs": 0}
    parser.update(places | epochs | {"bundle_root": bundle})
    parser.parse(True)
    parser.get_parsed_content("initialize")
    trainer, watch = parser.get_parsed_content("train#trainer"), Watch()
    watch.attach(trainer)
    trainer.run()
    times = [(watch.waited[epoch], watch.worked[epoch], watch.steps[epoch]) for epoch in TIMED_EPOCHS]
    return {
        "bundle": Path(bundle).name,
        "step_seconds": median((wait + work) / steps for wait, work, steps in times),
        "waiting": [wait / (wait + work) for wait, work, _ in times],
        "operators": watch.operators(),
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    lines = ["| bundle | step | waiting for data (min to max) | operators |", "|---|---|---|---|"]
    for row in rows:
        operators = ", ".join(f"{name} {share:.0%}" for name, share in row["operators"])
        shares = row["waiting"]
        waiting = f"{median(shares):.1%} ({min(shares):.1%} to {max(shares):.1%})"
        lines.append(f"| {row['bundle']} | {row['step_seconds']:.3f} s | {waiting} | {operators} |")
    return "\n".join(lines)


def main(
    out: str = "runs/profiles",
    bundles: Sequence[str] | str = (),
    threads: int = 2,
    overlays: Sequence[str] | str = (),
) -> None:
    """Print the table, write report.json into ``out``; all bundles, if none is named."""
    torch.set_num_threads(threads)
    root, rows = Path(out).absolute(), []
    for bundle in ensure_tuple(bundles) or sorted(str(path) for path in Path("bundles").iterdir()):
        kind = Path(bundle).name.partition("_")[0]
        data = root / "data" / kind
        if not data.exists():
            PHANTOMS[kind](data)
        shutil.rmtree(root / Path(bundle).name, ignore_errors=True)  # a run that is there would go on
        rows.append(
            in_own_process(train, bundle, data, root / Path(bundle).name, threads, list(ensure_tuple(overlays)))
        )
    print(machine_line(describe_machine(torch.device("cpu"))))
    print(markdown(rows))
    with atomic_write(root / "report.json") as path:
        path.write_text(json.dumps(rows, indent=4) + "\n")


if __name__ == "__main__":
    fire.Fire(main)
