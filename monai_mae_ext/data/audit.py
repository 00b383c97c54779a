"""Looking at every file of a data set once, before a training does."""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.pool import ThreadPool
from pathlib import Path
from statistics import median

import numpy as np
from tqdm import tqdm

from monai_mae_ext.data.chestxray14 import ListedFilm, find_metadata, index_images, read_metadata, read_official_lists
from monai_mae_ext.data.radiograph import RadiographError, read_radiograph
from monai_mae_ext.data.radiograph_datalist import folder_radiographs
from monai_mae_ext.data.sections import open_dataset_dir
from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write

__all__ = ["audit"]

MIN_SIDE = 64
MAX_ASPECT = 2.0
MAX_AREA_RATIO = 4.0


@dataclass
class Finding:
    """What the audit found in one file: ``low`` and ``high`` are brightness in [0, 1], a problem is (kind, detail)."""

    path: str
    width: int | None = None
    height: int | None = None
    bits: int | None = None
    low: float | None = None
    high: float | None = None
    sha256: str = ""
    problems: list[tuple[str, str]] = field(default_factory=list)


def audit(dataset_dir: str | os.PathLike, out: str | os.PathLike = "audit.csv") -> int:
    """Read every radiograph of a folder once, write a CSV of what is wrong, and print a summary.

    Problems, of which one file may have several: *unreadable*; *truncated*; *non-finite*; *constant* (every pixel
    alike); *oddly sized* (a side below 64 pixels, sides more than 2:1, or an area more than 4 times above or below the
    median); *duplicate* (the pixels of an earlier file); and in ChestX-ray14 *patient in two splits* (with films in
    both official lists) and *missing* (in the CSV, but not on disk).

    Args:
        dataset_dir: ChestX-ray14 as downloaded, or any folder of radiographs.
        out: the CSV to write: relative path, width, height, bits, min, max (brightness in [0, 1]) and problem, which is
            empty for a good file.

    Returns:
        The number of files with a problem.

    Raises:
        UserError: for no such folder, a folder without radiographs, or a malformed ChestX-ray14 CSV.
    """
    root = open_dataset_dir(dataset_dir)
    metadata = find_metadata(root)
    films = list(read_metadata(metadata)) if metadata else []
    paths = sorted(index_images(root).values() if metadata else folder_radiographs(root))
    if not paths:
        raise UserError(f"found no radiographs in {root}: name the folder that holds them")
    with ThreadPool(os.cpu_count()) as pool:
        findings = list(tqdm(pool.imap(lambda path: inspect(path, root), paths), total=len(paths), desc="audit"))
    note_odd_sizes(findings)
    note_duplicates(findings)
    if metadata:
        note_shared_patients(findings, films, read_official_lists(root))
        findings += missing_films(findings, films)
    write_report(findings, Path(out))
    print_summary(findings, Path(out))
    return sum(bool(finding.problems) for finding in findings)


def inspect(path: str, root: Path) -> Finding:
    """Read one file and note what is wrong with it alone."""
    finding = Finding(Path(path).relative_to(root).as_posix())
    try:
        brightness, meta = read_radiograph(path)
    except RadiographError as error:
        finding.problems.append((error.problem, str(error).removeprefix(path).strip()))
        return finding
    finding.height, finding.width = brightness.shape
    finding.bits = meta["bits"]
    finding.low, finding.high = round(float(brightness.min()), 4), round(float(brightness.max()), 4)
    finding.sha256 = hashlib.sha256(repr(brightness.shape).encode() + brightness.tobytes()).hexdigest()
    if np.ptp(brightness) == 0:
        finding.problems.append(("constant", f"{finding.low}"))
    return finding


def note_odd_sizes(findings: list[Finding]) -> None:
    """Note sizes that no radiograph has, or that stand out in this data set."""
    sizes = [(finding, finding.width, finding.height) for finding in findings if finding.width and finding.height]
    usual = median(width * height for _, width, height in sizes) if sizes else 0
    for finding, width, height in sizes:
        short, long, area = min(width, height), max(width, height), width * height
        stands_out = area > usual * MAX_AREA_RATIO or area * MAX_AREA_RATIO < usual
        if short < MIN_SIDE or long > short * MAX_ASPECT or stands_out:
            finding.problems.append(("oddly sized", f"{width} x {height}"))


def note_duplicates(findings: list[Finding]) -> None:
    """Note files whose pixels are those of an earlier one."""
    first: dict[str, str] = {}
    for finding in findings:
        if finding.sha256 and first.setdefault(finding.sha256, finding.path) != finding.path:
            finding.problems.append(("duplicate", f"of {first[finding.sha256]}"))


def note_shared_patients(
    findings: list[Finding], films: list[ListedFilm], lists: tuple[set[str], set[str]] | None
) -> None:
    """Note the films of patients who are in both official lists."""
    splits: dict[str, set[int]] = defaultdict(set)
    for film in films:
        splits[film.patient].update(split for split, names in enumerate(lists or ()) if film.name in names)
    shared = {film.name for film in films if len(splits[film.patient]) > 1}
    for finding in findings:
        if Path(finding.path).name in shared:
            finding.problems.append(("patient in two splits", "train_val and test"))


def missing_films(findings: list[Finding], films: list[ListedFilm]) -> list[Finding]:
    """Return a finding for each film of the CSV that no file was found for."""
    present = {Path(finding.path).name for finding in findings}
    return [
        Finding(film.name, problems=[("missing", "in the CSV, not on disk")])
        for film in films
        if film.name not in present
    ]


def write_report(findings: Iterable[Finding], out: Path) -> None:
    """Write the CSV, one row a file."""
    with atomic_write(out) as path, open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "width", "height", "bits", "min", "max", "problem"])
        for finding in findings:
            problem = "; ".join(f"{kind}: {detail}" for kind, detail in finding.problems)
            sizes = [finding.width, finding.height, finding.bits]
            writer.writerow([finding.path, *sizes, finding.low, finding.high, problem])


def print_summary(findings: list[Finding], out: Path) -> None:
    """Print how many files have which problem."""
    counts = Counter(kind for finding in findings for kind in {kind for kind, _ in finding.problems})
    counts["fine"] = sum(not finding.problems for finding in findings)
    width = max(map(len, counts))
    for kind, count in sorted(counts.items()):
        print(f"{kind:<{width}}  {count:>7}")
    print(f"{len(findings)} files, listed in {out}")
