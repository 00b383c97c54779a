"""One command from a study's folder to DICOM results: segmentations of its series, or reports on its films."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
from pydicom import Dataset

from monai_mae_ext.dicom.content import BROKEN
from monai_mae_ext.dicom.finding_report import save_finding_report
from monai_mae_ext.dicom.run_bundle import InferenceBundle, open_bundle
from monai_mae_ext.dicom.secondary_capture import save_secondary_capture
from monai_mae_ext.dicom.segmentation import save_segmentation
from monai_mae_ext.dicom.series import Series, survey_folder
from monai_mae_ext.dicom.volume import read_series, save_nifti
from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write

__all__ = ["process_study"]

logger = logging.getLogger(__name__)
FILMS = ("CR", "DX")


def process_study(
    study: str, bundle: str, out: str, overlays: Sequence[str] | str = (), **overrides: Any
) -> tuple[list[Path], list[str]]:
    """Run a bundle on what it can take of a folder of DICOM files, and write the results as DICOM objects.

    A segmentation bundle labels each series of its modality: ``out/series_UID_seg.dcm`` is a DICOM SEG, with the labels
    as NIfTI and an overlay beside it. A classification bundle reads each film: ``out/film_UID_findings.dcm`` is a
    structured report, with ``film_UID_overlay.dcm``, a secondary capture of the saliency. Names are UIDs, and tell no
    patient. What fails is told at the end, and the rest goes on.

    Args:
        study: folder of DICOM files, sub-folders included.
        bundle: folder of the bundle, with its weights in ``models/``.
        out: folder for the results.
        overlays: config files of the bundle, such as ``quick``, or paths of others.
        overrides: of the bundle's keys, such as ``ckpt_dir``.

    Returns:
        The DICOM files written, and what failed, in words.

    Raises:
        UserError: if nothing in the folder is for this bundle, or the bundle cannot run.
    """
    opened = open_bundle(bundle, overlays)
    process = PROCESSES.get(opened.output)
    if process is None or opened.channels != 1:
        raise UserError(
            f"{opened.folder} takes {opened.channels} images and gives {opened.output}: from DICOM run bundles that "
            f"take one image and give a {' or '.join(PROCESSES)}"
        )
    modalities = FILMS if opened.modality in FILMS else (opened.modality,)
    survey = survey_folder(study)
    found = [series for series in survey.series if series.modality in modalities]
    failures = [str(passed) for passed in survey.passed_over if passed.reason in BROKEN]
    if not found:
        broken = f" ({'; '.join(failures)})" if failures else ""
        raise UserError(f"no {' or '.join(modalities)} series in {study}{broken}; {opened.folder.name} takes no other")
    with tempfile.TemporaryDirectory() as work:
        written, others = process(opened, found, Path(work), Path(out), overrides)
    return written, failures + others


def segment_volumes(
    bundle: InferenceBundle, found: Sequence[Series], work: Path, out: Path, overrides: dict[str, Any]
) -> tuple[list[Path], list[str]]:
    """A segmentation object for each series that is a volume."""
    sources: dict[str, tuple[Series, np.ndarray, Sequence[Dataset]]] = {}
    written: list[Path] = []
    failures = []
    for series in found:
        try:
            volume = read_series(series)
        except UserError as error:
            failures.append(str(error))
            continue
        for note in volume.notes:
            logger.warning("%s: %s", series, note)
        name = named("series", series.uid)
        save_nifti(volume, work / "scans" / f"{name}.nii.gz")
        sources[name] = series, volume.affine, volume.headers
    if not sources:
        return written, failures
    names, bad = bundle.infer(work / "scans", work / "results", **overrides)
    for name, (series, affine, headers) in sources.items():
        if reason := bad.get(f"{name}.nii.gz"):
            failures.append(f"{series}: {reason}")
            continue
        labels = work / "results" / f"{name}_seg.nii.gz"
        for path in (labels, labels.with_name(f"{name}_overlay.png")):
            keep(path, out / path.name)
        values = np.asanyarray(nib.nifti1.load(labels).dataobj)
        target = out / f"{name}_seg.dcm"
        with noting(failures, series):
            save_segmentation(target, values, affine, names, headers, bundle.algorithm)
            written.append(target)
    return written, failures


def report_films(
    bundle: InferenceBundle, found: Sequence[Series], work: Path, out: Path, overrides: dict[str, Any]
) -> tuple[list[Path], list[str]]:
    """A structured report and an overlay for each film."""
    headers = {}
    for path in (path for series in found for path in series.files):
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        name = named("film", header.SOPInstanceUID)
        headers[name] = header
        keep(path, work / "films" / f"{name}.dcm")
    bundle.infer(work / "films", work / "results", **overrides)
    written: list[Path] = []
    failures: list[str] = []
    for row in json.loads((work / "results" / "predictions.json").read_text()):
        name = Path(row["image"]).stem
        if row["reason"]:
            failures.append(f"{name}: {row['reason']}")
            continue
        findings, overlay = (out / f"{name}_{kind}.dcm" for kind in ("findings", "overlay"))
        picture = work / "results" / f"{name}_saliency.png"
        with noting(failures, name):
            save_finding_report(findings, row["probabilities"], row["present"], headers[name], bundle.algorithm)
            written.append(findings)
            if picture.exists():
                save_secondary_capture(overlay, picture, headers[name], bundle.algorithm)
                written.append(overlay)
    return written, failures


def named(kind: str, uid: str) -> str:
    """A name for results that tells no patient: the source's UID."""
    return f"{kind}_{uid.replace('.', '_')}"


@contextmanager
def noting(failures: list[str], source: object) -> Iterator[None]:
    """Add what fails to ``failures`` and go on: of errors that are not meant for users the kind, since their words may
    tell the patient."""
    try:
        yield
    except UserError as error:
        failures.append(f"{source}: {error}")
    except Exception as error:
        failures.append(f"{source}: cannot be written as DICOM ({type(error).__name__})")


def keep(path: Path, target: Path) -> None:
    """Copy a file."""
    with atomic_write(target) as temporary:
        shutil.copyfile(path, temporary)


PROCESSES: dict[str, Callable[..., tuple[list[Path], list[str]]]] = {
    "segmentation": segment_volumes,
    "classification": report_films,
}
