from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monai_mae_ext.data import audit
from monai_mae_ext.errors import UserError

rng = np.random.default_rng(0)


def save(path: Path, height: int = 100, width: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(1, 255, (height, width), dtype=np.uint8)).save(path)


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    with open(path, newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with one case of every problem, and some good films."""
    root = tmp_path / "films"
    for i in range(5):
        save(root / f"p{i}" / "good.png")
    save(root / "wide.png", 100, 201)
    save(root / "large.png", 201, 200)
    save(root / "narrow.png", 100, 63)
    save(root / "cut.png")
    (root / "cut.png").write_bytes((root / "cut.png").read_bytes()[:2000])
    (root / "text.jpg").write_text("no image")
    Image.new("L", (100, 100), 51).save(root / "black.png")
    Image.fromarray(np.full((100, 100), np.nan, np.float32)).save(root / "nan.tif")
    Image.open(root / "p1" / "good.png").save(root / "p9.tif")
    Image.new("L", (10, 10), 51).save(root / "tiny.png")
    return root


def test_one_case_of_every_problem(folder, tmp_path, capsys):
    bad = audit(folder, tmp_path / "out" / "audit.csv")
    rows = rows_of(tmp_path / "out" / "audit.csv")
    problems = {path: row["problem"] for path, row in rows.items() if row["problem"]}
    assert list(rows) == sorted(rows) and len(rows) == 14 and bad == len(problems) == 9
    assert problems.pop("text.jpg").startswith("unreadable: is not a PNG")
    assert problems.pop("cut.png").startswith("truncated: is truncated")
    assert problems.pop("nan.tif").startswith("non-finite: ")
    assert problems == {
        "black.png": "constant: 0.2",
        "large.png": "oddly sized: 200 x 201",
        "narrow.png": "oddly sized: 63 x 100",
        "p9.tif": "duplicate: of p1/good.png",
        "tiny.png": "constant: 0.2; oddly sized: 10 x 10",
        "wide.png": "oddly sized: 201 x 100",
    }
    assert str(folder) not in (tmp_path / "out" / "audit.csv").read_text()
    summary = capsys.readouterr().out
    for line in ("constant 2", "duplicate 1", "fine 5", "non-finite 1", "oddly sized 4", "truncated 1", "unreadable 1"):
        assert line in [" ".join(words.split()) for words in summary.splitlines()]


def test_sizes_bits_and_range(tmp_path):
    stored = np.full((70, 80), 13107, np.uint16)
    stored[0, 0] = 65535
    (tmp_path / "films").mkdir()
    Image.fromarray(stored).save(tmp_path / "films" / "film.png")
    assert audit(tmp_path / "films", tmp_path / "audit.csv") == 0
    row = {"path": "film.png", "width": "80", "height": "70", "bits": "16", "min": "0.2", "max": "1.0", "problem": ""}
    assert rows_of(tmp_path / "audit.csv") == {"film.png": row}


def test_chestxray14_patient_in_two_splits_and_missing_film(tmp_path):
    names = ["00000001_000.png", "00000001_001.png", "00000002_000.png", "00000003_000.png"]
    for name in names[:3]:
        save(tmp_path / "images_001" / "images" / name)
    rows = [f"{name},No Finding,0,{int(name[:8])}\n" for name in names]
    header = "Image Index,Finding Labels,Follow-up #,Patient ID\n"
    (tmp_path / "Data_Entry_2017.csv").write_text(header + "".join(rows))
    (tmp_path / "train_val_list.txt").write_text(f"{names[0]}\n{names[2]}\n")
    (tmp_path / "test_list.txt").write_text(f"{names[1]}\n{names[3]}\n")
    assert audit(tmp_path, tmp_path / "audit.csv") == 3
    assert {path: row["problem"] for path, row in rows_of(tmp_path / "audit.csv").items()} == {
        f"images_001/images/{names[0]}": "patient in two splits: train_val and test",
        f"images_001/images/{names[1]}": "patient in two splits: train_val and test",
        f"images_001/images/{names[2]}": "",
        names[3]: "missing: in the CSV, not on disk",
    }


def test_folders_that_hold_nothing(tmp_path):
    with pytest.raises(UserError, match="found no radiographs in"):
        audit(tmp_path, tmp_path / "audit.csv")
    with pytest.raises(UserError, match="no such folder"):
        audit(tmp_path / "absent", tmp_path / "audit.csv")
    assert not (tmp_path / "audit.csv").exists()


@pytest.mark.real_data
def test_chestxray14_sample_is_clean(tmp_path, real_data):
    assert audit(real_data / "chestxray14", tmp_path / "audit.csv") == 0
    assert len(rows_of(tmp_path / "audit.csv")) == 500
