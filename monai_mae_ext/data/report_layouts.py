"""Studies with reports on disk: R2Gen's annotation.json, OpenI's XML files, MIMIC-CXR."""

from __future__ import annotations

import csv
import gzip
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from monai_mae_ext.data.radiograph import RADIOGRAPH_SUFFIXES
from monai_mae_ext.data.sections import Case
from monai_mae_ext.errors import UserError

logger = logging.getLogger(__name__)

__all__ = ["FRONTAL", "LATERAL", "PARTS", "read_studies", "report_text"]

FRONTAL, LATERAL = "image", "lateral"
PARTS = ("findings", "impression")
ANNOTATION = "annotation.json"
MIMIC_SPLIT, MIMIC_METADATA = "mimic-cxr-2.0.0-split.csv", "mimic-cxr-2.0.0-metadata.csv"
OFFICIAL = {"train": "training", "val": "validation", "validate": "validation", "test": "test"}
MIMIC_SPLIT_COLUMNS = ("dicom_id", "study_id", "subject_id", "split")
MIMIC_VIEW_COLUMNS = ("dicom_id", "ViewPosition")
MIMIC_VIEWS = {"PA": FRONTAL, "AP": FRONTAL, "LATERAL": LATERAL, "LL": LATERAL}
HEADING = re.compile(
    r"^[ \t]*((?:FINAL REPORT|EXAM|INDICATION|CLINICAL|HISTORY|REASON|TECHNIQUE|COMPARISON|FINDINGS|IMPRESSION|"
    r"CONCLUSION|RECOMMENDATION|NOTIFICATION|WET READ|ADDENDUM|PROCEDURE)[A-Z /()]*):",
    re.MULTILINE,
)
"""Sections; subheadings such as ``LUNGS:`` stand inside of one."""


def read_studies(root: Path, part: str | None) -> list[Case] | None:
    """Every study of a folder with reports, or None if it has none of the layouts.

    An item has ``image``, the frontal film, and where there is one ``lateral``, paths that need not exist, and
    ``report``, for ``report_text``: MIMIC-CXR has a file for each, to be read of the studies that are wanted alone.

    Raises:
        UserError: for another part, or a file of a layout that cannot be read.
    """
    if part is not None and part not in PARTS:
        raise UserError(f"report_part is one of {', '.join(PARTS)}, got {part!r}")
    if (root / ANNOTATION).is_file():
        return list(annotated_studies(root))
    if split := find_table(root, MIMIC_SPLIT):
        return list(mimic_studies(root, split))
    return list(openi_studies(root, sorted(root.rglob("*.xml")), part)) or None


def report_text(report: str | Path | None, part: str) -> str | None:
    """The text of ``part`` of an item's ``report``, or None if the study has none.

    Raises:
        UserError: for a file that is no text.
    """
    if not isinstance(report, Path):
        return report
    try:
        return part_of(report.read_text(encoding="utf-8"), part) if report.is_file() else None
    except UnicodeDecodeError as error:
        raise UserError(f"{report} is no text ({error}): download it again") from error


def annotated_studies(root: Path) -> Iterator[Case]:
    """R2Gen's layout: ``annotation.json`` with the sections train, val and test, films below ``images/``.

    Of several films the first is the frontal one, the second the lateral one. A patient is ``subject_id``, or what
    stands before the first underscore of ``id``. The report is what it is: one part.
    """
    path = root / ANNOTATION
    try:
        sections = json.loads(path.read_text(encoding="utf-8"))
        for name, entries in sections.items():
            for entry in entries:
                if not isinstance(entry["image_path"], list):
                    raise TypeError("image_path is a list of paths")
                films = dict(zip((FRONTAL, LATERAL), entry["image_path"], strict=False))
                item = {view: str(root / "images" / film) for view, film in films.items()}
                if not isinstance(entry["report"], str):
                    raise TypeError("report is a text")
                patient = str(entry["subject_id"] if "subject_id" in entry else entry["id"].split("_")[0])
                yield Case(item | {"report": entry["report"]}, patient, OFFICIAL[name])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is not R2Gen's layout ({type(error).__name__}: {error}): it has train, val and test, lists of "
            "entries with id, report and image_path"
        ) from error


def openi_studies(root: Path, reports: list[Path], part: str | None) -> Iterator[Case]:
    """Indiana University's films as OpenI gives them: an XML file a study, PNG films anywhere below.

    The XML does not tell views: as R2Gen does, the first film is taken for the frontal one, the second for the lateral.
    XML files that name no films are something else.
    """
    if not reports:
        return
    films = {path.stem: str(path) for path in root.rglob("*") if path.suffix.lower()[1:] in RADIOGRAPH_SUFFIXES}
    for path in reports:
        try:
            study = ElementTree.parse(path)
        except ElementTree.ParseError as error:
            logger.warning("%s is left out, it is no XML (%s): download it again, or take it away", path, error)
            continue
        names = [image.get("id", "") for image in study.iter("parentImage")]
        known = [films.get(name, str(root / f"{name}.png")) for name in names]
        texts = {text.get("Label", "").lower(): text.text for text in study.iter("AbstractText")}
        if known:
            yield Case(
                dict(zip((FRONTAL, LATERAL), known, strict=False)) | {"report": texts.get(part or "")}, path.stem
            )


def mimic_studies(root: Path, split: Path) -> Iterator[Case]:
    """MIMIC-CXR: the tables of split and metadata, films and reports below ``files/`` as PhysioNet has them."""
    metadata = find_table(root, MIMIC_METADATA)
    if metadata is None:
        raise UserError(f"{root / MIMIC_METADATA} is missing beside {split.name}: it tells the views, download it too")
    views = {row["dicom_id"]: MIMIC_VIEWS.get(row["ViewPosition"]) for row in read_table(metadata, MIMIC_VIEW_COLUMNS)}
    studies: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in read_table(split, MIMIC_SPLIT_COLUMNS):
        if row["split"] not in OFFICIAL:
            raise UserError(f"{split} has the unknown split '{row['split']}': download it again")
        films = studies.setdefault((row["subject_id"], row["study_id"], row["split"]), {})
        if view := views.get(row["dicom_id"]):
            films.setdefault(view, row["dicom_id"])
    for (subject, study, section), films in studies.items():
        folder = root / "files" / f"p{subject[:2]}" / f"p{subject}" / f"s{study}"
        item = {view: str(find_film(folder, film)) for view, film in films.items()}
        yield Case(item | {"report": folder.with_suffix(".txt")}, subject, OFFICIAL[section])


def find_table(root: Path, name: str) -> Path | None:
    return next((path for path in (root / name, root / f"{name}.gz") if path.is_file()), None)


def read_table(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The rows of a CSV, packed or not, that has some columns; a ``UserError`` for one that has not."""
    opened = gzip.open(path, "rt", newline="") if path.suffix == ".gz" else open(path, newline="")
    try:
        with opened as file:
            rows = csv.DictReader(file)
            if missing := set(columns).difference(rows.fieldnames or ()):
                raise UserError(f"{path} has no column {', '.join(sorted(missing))}: download it again")
            yield from rows
    except (OSError, EOFError) as error:
        raise UserError(f"{path} cannot be read ({error}): download it again") from error


def find_film(folder: Path, name: str) -> Path:
    """MIMIC-CXR has DICOM files, MIMIC-CXR-JPG pictures."""
    dicom = folder / f"{name}.dcm"
    return dicom if dicom.is_file() else folder / f"{name}.jpg"


def part_of(text: str, part: str) -> str | None:
    """What stands under a heading such as ``FINDINGS:``, or one of several parts, up to the next section."""
    pieces = HEADING.split(text)
    found = [body for name, body in zip(pieces[1::2], pieces[2::2], strict=True) if part.upper() in name]
    return " ".join(found) or None
