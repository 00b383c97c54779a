"""The command line: ``python -m monai_mae_ext VERB``. Thin: every verb is one imported function."""

from __future__ import annotations

import functools
import sys
from typing import Any

import fire
from fire.decorators import SetParseFns

from monai_mae_ext.bench import bench, plan
from monai_mae_ext.data import audit
from monai_mae_ext.delivery import download, lint, pack
from monai_mae_ext.errors import UserError, show_user_errors
from monai_mae_ext.label.server import start_label_server
from monai_mae_ext.phantoms import (
    write_abdomen_phantoms,
    write_abdomen_studies,
    write_brain_phantoms,
    write_chest_phantoms,
)
from monai_mae_ext.weights import export_encoder


@functools.wraps(audit)
def audit_for_shells(*arguments: str, **options: str) -> None:
    if audit(*arguments, **options):
        sys.exit(1)


@functools.wraps(lint)
def lint_for_shells(*bundles: str, **options: Any) -> None:
    if lint(*bundles, **options):
        sys.exit(1)


@SetParseFns(bundle=str, dataset_dir=str)
@functools.wraps(plan)
def plan_for_shells(*arguments: Any, **options: Any) -> None:
    plan(*arguments, **options)


@SetParseFns(study=str, bundle=str, out=str)  # a folder's name may look like a number
def dicom(study: str, bundle: str, out: str, overlays: Any = (), **overrides: Any) -> None:
    """Run a bundle on a folder of DICOM files and write DICOM results into ``out``.

    STUDY and its sub-folders may hold anything; of what the bundle takes, each series gets a DICOM SEG, or each film a
    structured report. ``--overlays quick`` lays config files of the bundle over its own, and any key of it may be set,
    such as ``--ckpt_dir models``. The exit code is 1 if a series or film failed; the others are done all the same.
    """
    try:
        from monai_mae_ext.dicom.study import process_study
    except ModuleNotFoundError as error:
        if error.name != "highdicom":
            raise
        raise UserError("DICOM results need highdicom: pip install monai-mae-ext[dicom]") from error
    written, failures = process_study(study, bundle, out, overlays, **overrides)
    for path in written:
        print(path)
    if failures:
        print(*(f"failed: {failure}" for failure in failures), sep="\n", file=sys.stderr)
        sys.exit(1)


VERBS = {
    "audit": audit_for_shells,
    "bench": bench,
    "dicom": dicom,
    "download": download,
    "export": export_encoder,
    "label": SetParseFns(studies=str, bundles=str, app_dir=str)(start_label_server),
    "lint": lint_for_shells,
    "pack": pack,
    "plan": plan_for_shells,
    "phantoms": write_chest_phantoms,
    "ct_phantoms": write_abdomen_phantoms,
    "mri_phantoms": write_brain_phantoms,
    "dicom_phantoms": write_abdomen_studies,
}

if __name__ == "__main__":
    show_user_errors()
    fire.Fire(VERBS, name="monai_mae_ext")
