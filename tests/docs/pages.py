"""The commands of the README and the docs, made small, and run in a folder like a user's."""

from __future__ import annotations

import itertools
import re
import subprocess
from pathlib import Path

from tests.delivery.conftest import TINY as OVERLAYS
from tests.processes import run_module

ROOT = Path(__file__).parents[2]
TINY = {name: ROOT / "tests" / "bundles" / overlay for name, overlay in OVERLAYS.items()}
SHORT = {
    "C": "cxr_disease_classification",
    "P": "ct_superpatch_pretraining",
    "R": "cxr_report_generation",
    "S": "ct_multiorgan_segmentation",
}
PAGES = [path for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))] if "```" in path.read_text()]
CARDS = sorted(ROOT.glob("bundles/*/docs/README.md"))
# What sets the machine up is proved by the continuous integration that runs this test, through the Makefile.
SET_UP = re.compile(r"make (quickstart|test|test-clinic|release)\b|python3 -m venv|\. \.venv|python -m pip install")
SERVERS = re.compile(r"python -m monai_mae_ext label ")  # they run until they are stopped; tests/label starts them
# Hours, or many processes; run in small by tests/test_self_pretraining.py, tests/test_ct_benchmarks.py,
# tests/test_mri_benchmarks.py, tests/test_report_benchmark.py, tests/test_data_benchmark.py, tests/test_profiles.py,
# tests/test_performance.py, tests/bench/test_bench.py and tests/clinic/test_active_learning.py.
LONG = re.compile(
    r"python -m (monai_mae_ext bench|benchmarks\."
    r"(self_pretraining|few_labels|reconstruction|missing_sequences|hippocampus(_ablations)?|levers|active_learning|"
    r"report_generation|data_loading|profiles|plan_check|film_rate|step_levers))( |$)"
)
# What the tests' films and networks have instead of a command's own arguments; nothing: leave it to the overlay.
SMALLER = {
    "n_films": "32",
    "seed": "0",
    "test_fraction": "",
    "n_volumes": "6",
    "superpatch": '"[16,16,16]"',
    "patch_size": "",
    "size": "96",
    "side": "600",
    "max_side": "200",
    "epochs": "1",
    "train#trainer#max_epochs": "2",
    "val_interval": "1",
    "batch_size": "4",
    "validation_fraction": "",
    "rounds": "1",
    "patients": "2",
    "spacing": "",
    "spacings": "[10]",
    "image_size": "",
    "profiles": "\"['fine']\"",
}

# What is added where a command has no such argument, the tiny overlay where it says nothing.
ADDED = [
    (r" (ct|mri|dicom)_phantoms ", "spacing", "6"),
    (r" run training ", "epochs", "1"),
    (r" run inferring ", "section", "test"),
    (r"monai_mae_ext plan ", "overlays", ""),
    (r"monai_mae_ext plan ", "seconds", "0"),
]


def commands(page: Path, language: str) -> list[str]:
    """Lines of the page's fenced blocks of one language, with continued lines joined."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def shrunk(command: str, bundle: str = "") -> str:
    """The command on few small films, with the tests' tiny network laid over it, so that it takes seconds.

    ``bundle`` is that of a command that names none.
    """
    for letter, name in SHORT.items():
        command = command.replace(f"${letter}/", f"bundles/{name}/")
    named = (tiny for name, tiny in TINY.items() if name in command + bundle)
    tiny = next(named, TINY["cxr_mae_pretraining"])
    for argument, smaller in SMALLER.items():
        command = re.sub(rf"--({argument}) \S+", rf"--\1 {smaller}" if smaller else "", command)
    command = re.sub(r"--overlays (\S+)", rf"--overlays \1,{tiny}", command)
    command = command.replace(
        "examples.federated_pretraining", f"examples.federated_pretraining --configs \"['{tiny}']\""
    )
    for kind, argument, value in ADDED:
        if re.search(kind, command) and f"--{argument} " not in command:
            command += f" --{argument} {value or tiny}"
    overlay = re.compile(r"--config_file (\"\[(.*?)\]\"|(\S+))")
    return overlay.sub(lambda m: f"--config_file \"[{m[2] or repr(m[3])},'{tiny}']\"", command)


def python_calls(folder: Path, lines: list[str]) -> list[list[str]]:
    """What the shell makes of lines: module and arguments of each ``python -m`` or ``torchrun``."""
    script = [
        "set -euo pipefail",
        """python() { printf '%s\\0' $# "$@"; }""",
        """torchrun() { python -m torch.distributed.run "$@"; }""",
        *lines,
    ]
    done = subprocess.run(["bash", "-c", "\n".join(script)], cwd=folder, capture_output=True, text=True, check=True)
    words, calls = iter(done.stdout.split("\0")[:-1]), []
    for count in words:
        option, *call = itertools.islice(words, int(count))
        assert option == "-m", call
        calls.append(call)
    return calls


def run_page(folder: Path, lines: list[str]) -> str:
    """Run shell commands one after the other in ``folder``; returns what they printed."""
    printed = []
    for module, *arguments in python_calls(folder, lines):
        done = run_module(module, arguments, folder)
        assert done.returncode == 0, f"{module} {arguments}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
        printed.append(done.stdout)
    return "".join(printed)
