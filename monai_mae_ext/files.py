"""Writing files so that a crash never leaves half of one, and nothing outside the folder that was named."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

__all__ = ["atomic_write", "name_inside", "write_tensors"]


@contextmanager
def atomic_write(path: str | os.PathLike, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on clean exit it is flushed to disk and moved onto ``path``.

    Readers see the old file or the new one, never a part. Missing folders are made; the file gets the permissions
    that the umask gives any new file. On an exception the temporary file is removed and ``path`` stays as it was.
    Not ``durable``, nothing waits for the disk, and what a machine that loses power keeps of the file is not sure: for
    what can be made again, and is checked when it is read.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")  # other machines may write here too
    try:
        yield temporary
        if durable:
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
        if durable:
            sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_tensors(path: str | os.PathLike, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write safetensors, atomically, with the permissions of any new file: safetensors itself lets nobody else read.

    Several entries of metadata are written in any order: with one alone, the same input gives the same bytes.
    """
    with atomic_write(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(dict(tensors), temporary, dict(metadata))
        temporary.chmod(mode)


def name_inside(path: str | os.PathLike, folder: str | os.PathLike) -> Path:
    """Return ``path`` relative to ``folder``, for results that are named after their source.

    Of a source outside the folder, which a data list may name, it is the whole path without its root: never a way out
    of the folder that results go to.
    """
    relative = Path(os.path.relpath(path, folder))
    if ".." in relative.parts:
        whole = Path(os.path.abspath(path))
        relative = whole.relative_to(whole.anchor)
    return relative


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable (POSIX; on Windows folders cannot be opened, and the rename stands alone)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
