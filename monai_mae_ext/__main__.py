"""The command line: ``python -m monai_mae_ext VERB``. Thin: every verb is one imported function."""

from __future__ import annotations

import functools
import sys
from typing import Any

import fire

from monai_mae_ext.bench import bench
from monai_mae_ext.data import audit
from monai_mae_ext.delivery import download, lint, pack
from monai_mae_ext.errors import show_user_errors
from monai_mae_ext.phantoms import write_abdomen_phantoms, write_brain_phantoms, write_chest_phantoms
from monai_mae_ext.weights import export_encoder


@functools.wraps(audit)
def audit_for_shells(*arguments: str, **options: str) -> None:
    if audit(*arguments, **options):
        sys.exit(1)


@functools.wraps(lint)
def lint_for_shells(*bundles: str, **options: Any) -> None:
    if lint(*bundles, **options):
        sys.exit(1)


VERBS = {
    "audit": audit_for_shells,
    "bench": bench,
    "download": download,
    "export": export_encoder,
    "lint": lint_for_shells,
    "pack": pack,
    "phantoms": write_chest_phantoms,
    "ct_phantoms": write_abdomen_phantoms,
    "mri_phantoms": write_brain_phantoms,
}

if __name__ == "__main__":
    show_user_errors()
    fire.Fire(VERBS, name="monai_mae_ext")
