"""Every command of the README and the docs is run, page by page; links lead somewhere."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.docs.pages import LONG, PAGES, ROOT, SERVERS, SET_UP, commands, run_page, shrunk
from tests.volumes import write_hippocampi

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)?(#[^)\s]+)?\)")
pytestmark = pytest.mark.bundle


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands(page: Path, films: Path, volumes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("README.md", "benchmarks", "examples", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "bundles", tmp_path / "bundles", ignore=shutil.ignore_patterns("models", "eval"))
    for place, data in (("runs/cxr/films", films), ("runs/ct/scans", volumes)):
        if not any(f"phantoms --out_dir {place}" in line for line in commands(page, "bash")):
            (tmp_path / place).parent.mkdir(parents=True)
            (tmp_path / place).symlink_to(data)
    lines = [
        line for line in commands(page, "bash") if not any(kind.match(line.strip()) for kind in (SET_UP, SERVERS, LONG))
    ]
    if any("MAE_BUNDLES_DATA" in line for line in lines):
        monkeypatch.setenv("MAE_BUNDLES_DATA", str(small_data(tmp_path / "data", films, volumes)))
    lines = [shrunk(line) for line in lines]
    if python := commands(page, "python"):
        (tmp_path / "page.py").write_text("\n".join(python))
        lines.append("python -m page")
    printed = run_page(tmp_path, lines)
    for expected in re.findall(r"^prints `(.*?)`", page.read_text(), re.MULTILINE):
        assert expected in printed


def small_data(folder: Path, films: Path, volumes: Path) -> Path:
    """Phantoms in the place of the public data sets."""
    folder.mkdir()
    (folder / "chestxray14").symlink_to(films)
    (folder / "abdomen_ct").symlink_to(volumes)
    write_hippocampi(folder / "Task04_Hippocampus", 8)
    return folder


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("*.md"), *ROOT.glob("bundles/*/docs/*.md")], ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file = (page.parent / target) if target else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor and file.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor[1:] in slugs, f"{page.name}: {target}{anchor}"
