"""The sha256 of a published file, in a file beside it: ``model.pt.sha256`` as ``sha256sum`` writes and checks it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from monai_mae_ext.errors import UserError

__all__ = ["check_sum", "sha256_of", "sum_beside"]


def sha256_of(path: str | os.PathLike) -> str:
    """Hexadecimal sha256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def sum_beside(path: str | os.PathLike) -> Path:
    """Where the sum of a published file lies. A file without one was not published."""
    return Path(f"{path}.sha256")


def check_sum(path: str | os.PathLike) -> None:
    """Compare a file with the sum beside it, if there is one.

    Raises:
        UserError: if they differ.
    """
    beside = sum_beside(path)
    if beside.is_file() and beside.read_text().split()[:1] != [sha256_of(path)]:
        raise UserError(
            f"{path} is not the file that was published, its sha256 differs from that in {beside.name}: download the "
            f"bundle again, or delete {beside.name} if you put your own file there"
        )
