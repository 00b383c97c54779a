from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from monai_mae_ext.files import atomic_write, name_inside

posix = pytest.mark.skipif(os.name != "posix", reason="permissions and umask are POSIX")


def test_a_clean_exit_puts_the_file_in_place_and_makes_folders(tmp_path):
    path = tmp_path / "a" / "b" / "c.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == path.parent and temporary.suffix == ".txt"
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_readers_see_the_old_file_until_the_end(tmp_path):
    path = tmp_path / "c.txt"
    path.write_text("old")
    with atomic_write(str(path)) as temporary:
        temporary.write_text("half of the n")
        assert path.read_text() == "old"
        temporary.write_text("new")
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_crash_inside_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "c.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_write(path) as temporary:
        temporary.write_text("half of the n")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_crash_before_anything_is_written_makes_no_file(tmp_path):
    with pytest.raises(RuntimeError), atomic_write(tmp_path / "c.txt"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@posix
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with atomic_write(tmp_path / "c.txt") as temporary:
            temporary.write_text("new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "c.txt").stat().st_mode) == mode


def test_two_files_of_one_folder_can_be_written_at_once(tmp_path):
    with atomic_write(tmp_path / "a.txt") as first, atomic_write(tmp_path / "b.txt") as second:
        first.write_text("a")
        second.write_text("b")
    assert (tmp_path / "a.txt").read_text() == "a" and (tmp_path / "b.txt").read_text() == "b"


def test_results_are_named_after_their_source_and_stay_inside(tmp_path: Path) -> None:
    assert name_inside(tmp_path / "a" / "scan.nii.gz", tmp_path) == Path("a/scan.nii.gz")
    outside = name_inside(tmp_path / "other" / "scan.nii.gz", tmp_path / "data")
    assert ".." not in outside.parts and not outside.is_absolute() and outside.parts[-2:] == ("other", "scan.nii.gz")
