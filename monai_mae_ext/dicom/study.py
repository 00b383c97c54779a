"""One command from a study's folder to DICOM results: segmentations of its series, or reports on its films."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom

from monai_mae_ext.dicom.finding_report import save_finding_report
from monai_mae_ext.dicom.run_bundle import InferenceBundle, open_bundle
from monai_mae_ext.dicom.secondary_capture import save_secondary_capture
from monai_mae_ext.dicom.segmentation import save_segmentation
from monai_mae_ext.dicom.series import Series, find_series
from monai_mae_ext.dicom.volume import read_series, save_nifti
from monai_mae_ext.errors import UserError

__all__ = ["process_study"]

logger = logging.getLogger(__name__)
FILMS = ("CR", "DX")
UID_END = 12


def process_study(
    study: str, bundle: str, out: str, overlays: Sequence[str] | str = (), **overrides: Any
) -> tuple[list[Path], list[str]]:
    """Run a bundle on what it can take of a folder of DICOM files, and write the results as DICOM objects.

    A segmentation bundle labels each series of its modality: ``out/series_UID_seg.dcm`` is a DICOM SEG, with the labels
    as NIfTI and an overlay beside it. A classification bundle reads each film: ``out/film_UID_findings.dcm`` is a
    structured report, with ``film_UID_overlay.dcm``, a secondary capture of the saliency. Names end in those of
    UIDs, and tell no patient. What fails is told at the end, and the rest goes on.

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
    found = [series for series in find_series(study) if series.modality in modalities]
    if not found:
        raise UserError(f"no {' or '.join(modalities)} series in {study}, and {opened.folder.name} takes no other")
    with tempfile.TemporaryDirectory() as work:
        return process(opened, found, Path(work), Path(out), overrides)


def segment_volumes(
    bundle: InferenceBundle, found: Sequence[Series], work: Path, out: Path, overrides: dict[str, Any]
) -> tuple[list[Path], list[str]]:
    """A segmentation object for each series that is a volume."""
    sources: dict[str, tuple[np.ndarray, Sequence[pydicom.Dataset]]] = {}
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
        sources[name] = volume.affine, volume.headers
    if not sources:
        raise UserError("; ".join(failures))
    names, failed = bundle.infer(work / "scans", work / "results", **overrides)
    failures += [failed] if failed else []
    written = []
    for name, (affine, headers) in sources.items():
        labels = work / "results" / f"{name}_seg.nii.gz"
        if not labels.exists():
            continue
        keep(labels, out)
        keep(labels.with_name(f"{name}_overlay.png"), out)
        values = np.asanyarray(nib.nifti1.load(labels).dataobj)
        try:
            save_segmentation(out / f"{name}_seg.dcm", values, affine, names, headers, bundle.algorithm)
        except UserError as error:
            failures.append(f"{name}: {error}")
        else:
            written.append(out / f"{name}_seg.dcm")
    return written, failures


def report_films(
    bundle: InferenceBundle, found: Sequence[Series], work: Path, out: Path, overrides: dict[str, Any]
) -> tuple[list[Path], list[str]]:
    """A structured report and an overlay for each film."""
    headers = {}
    for path in (path for series in found for path in series.files):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        name = named("film", header.SOPInstanceUID)
        headers[name] = header
        keep(path, work / "films", f"{name}.dcm")
    _, failed = bundle.infer(work / "films", work / "results", **overrides)
    written, failures = [], [failed] if failed else []
    for row in json.loads((work / "results" / "predictions.json").read_text()):
        if row["reason"]:
            continue
        name = Path(row["image"]).stem
        header = headers[name]
        findings = out / f"{name}_findings.dcm"
        save_finding_report(findings, row["probabilities"], row["findings"], header, bundle.algorithm)
        written.append(findings)
        picture = work / "results" / f"{name}_saliency.png"
        if picture.exists():
            overlay = out / f"{name}_overlay.dcm"
            save_secondary_capture(overlay, picture, header, bundle.algorithm)
            written.append(overlay)
    return written, failures


def named(kind: str, uid: str) -> str:
    """A name for results that tells no patient: the end of the source's UID."""
    return f"{kind}_{uid[-UID_END:].replace('.', '_')}"


def keep(path: Path, folder: Path, name: str | None = None) -> None:
    """Copy a file into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, folder / (name or path.name))


PROCESSES: dict[str, Callable[..., tuple[list[Path], list[str]]]] = {
    "segmentation": segment_volumes,
    "classification": report_films,
}
