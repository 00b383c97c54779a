"""Listing studies with their reports for training, validation and test, split by patient."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from monai_mae_ext.data.radiograph_datalist import radiograph_datalist
from monai_mae_ext.data.report_layouts import FRONTAL, LATERAL, read_studies, report_text
from monai_mae_ext.data.sections import Case, cases_of, check_section, open_dataset_dir, position_of
from monai_mae_ext.errors import UserError
from monai_mae_ext.reports import clean_report

__all__ = ["report_datalist", "study_datalist"]

logger = logging.getLogger(__name__)


def report_datalist(
    dataset_dir: str | os.PathLike,
    section: str,
    views: Sequence[str] = (FRONTAL,),
    part: str = "findings",
    validation_fraction: float = 0.1,
    report_fraction: float = 1.0,
    seed: int = 0,
) -> list[dict]:
    """List the studies of one section that have a report and all the views wanted, never a patient in two sections.

    Layouts are those of ``read_studies``; their official sections are kept, and studies without are split by a hash of
    the patient, as in ``radiograph_datalist``.

    Args:
        dataset_dir: the data set's folder.
        section: "training", "validation", "test" or "all".
        views: ``("image",)``, the frontal film, or ``("image", "lateral")``.
        part: of the report, "findings" or "impression", where the layout tells parts.
        validation_fraction: share of the patients that validate where no official section decides.
        report_fraction: share of the section's patients to keep, in (0, 1]; a smaller share is part of a larger one.
        seed: of splits and shares.

    Returns:
        Items sorted by path: ``{"image": path, "lateral": path, "report": cleaned text, "patient": name}``.

    Raises:
        UserError: for a folder without reports, an argument out of range, or a section without such studies.
    """
    if not 0 < report_fraction <= 1:
        raise UserError(f"report_fraction is above 0 and at most 1, got {report_fraction}")
    root = open_dataset_dir(dataset_dir)
    check_views(views)
    studies = read_studies(root, part)
    if studies is None:
        raise UserError(
            f"{root} has no reports: looked for annotation.json (R2Gen), mimic-cxr-2.0.0-split.csv with files/ "
            "(MIMIC-CXR) and *.xml (OpenI): pass --dataset_dir FOLDER"
        )
    chosen = section_of_studies(studies, section, validation_fraction, seed, root)
    told = [
        Case(study.item | {"report": clean_report(report_text(study.item["report"], part) or "")}, *study[1:])
        for study in chosen
    ]
    dictated = [study for study in told if study.item["report"]]
    if silent := len(told) - len(dictated):
        logger.warning("%d of %d %s studies of %s have no %s, and are left out", silent, len(told), section, root, part)
    complete = complete_studies(dictated, views, root)
    if not complete:
        raise UserError(f"none of the {len(chosen)} {section} studies of {root} has {part} and the views {list(views)}")
    kept = [study for study in complete if position_of(f"labels/{seed}/{study.patient}") < report_fraction]
    if not kept:
        raise UserError(f"report_fraction {report_fraction} of the {section} section of {root} is no patient")
    keys = (*views, "report")
    items = [{key: study.item[key] for key in keys} | {"patient": study.patient} for study in kept]
    return sorted(items, key=lambda item: item[FRONTAL])


def study_datalist(
    dataset_dir: str | os.PathLike,
    section: str,
    views: Sequence[str] = (FRONTAL,),
    validation_fraction: float = 0.1,
    seed: int = 0,
) -> list[dict]:
    """List what reports are to be written for: studies with or without report, or the films of any folder.

    Args and errors are those of ``report_datalist``; where a folder has no layout with reports, each film that
    ``radiograph_datalist`` finds is a study of one view. A study that lacks a film is listed, with a path that says so:
    it is to get a reason in the place of a report.
    """
    root = open_dataset_dir(dataset_dir)
    check_views(views)
    studies = read_studies(root, None)
    if studies is None:
        if len(views) > 1:
            raise UserError(
                f"{root} has no list of studies that pairs films: use views ['{FRONTAL}'], or write one in the layout "
                "of annotation.json"
            )
        films = radiograph_datalist(root, section, validation_fraction, seed)
        return [{FRONTAL: film["image"]} for film in films]
    chosen = section_of_studies(studies, section, validation_fraction, seed, root)
    items = [
        {view: study.item.get(view) or str(root / f"{study.patient}: no film of the view {view}") for view in views}
        for study in chosen
    ]
    return sorted(items, key=lambda item: item[FRONTAL])


def check_views(views: Sequence[str]) -> None:
    if tuple(views) not in ((FRONTAL,), (FRONTAL, LATERAL)):
        raise UserError(f"views are ['{FRONTAL}'] or ['{FRONTAL}', '{LATERAL}'], got {list(views)}")


def complete_studies(studies: Sequence[Case], views: Sequence[str], root: Path) -> list[Case]:
    """The studies that have all views on disk; what is missing is counted in the log."""
    complete: list[Case] = []
    missing: list[Case] = []
    for study in studies:
        films = [study.item.get(view) for view in views]
        (complete if all(film and os.path.isfile(film) for film in films) else missing).append(study)
    if missing:
        logger.warning(
            "%d of %d studies of %s lack a film of the views %s, and are left out, for example %s",
            len(missing), len(studies), root, ", ".join(views), missing[0].item.get(FRONTAL, missing[0].patient),
        )  # fmt: skip
    return complete


def section_of_studies(
    studies: Sequence[Case], section: str, validation_fraction: float, seed: int, root: Path
) -> list[Case]:
    check_section(section, validation_fraction)
    chosen = cases_of(studies, section, validation_fraction, seed)
    if not chosen:
        patients = len({study.patient for study in studies})
        raise UserError(f"the {section} section of {root} is empty: {len(studies)} studies of {patients} patients")
    return chosen
