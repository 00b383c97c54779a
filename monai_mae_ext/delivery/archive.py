"""Zip files that are the same bytes whenever they are made of the same files, and are unpacked nowhere but inside."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write

__all__ = ["unpack", "write_zip"]

LARGEST = 64 * 2**30
"""Bytes that an archive may unpack to: a small file can claim to hold far more than a disk does."""


def write_zip(path: str | os.PathLike, files: Mapping[str, bytes]) -> None:
    """Write ``files``, contents by name, in the order of their names, without times and owners."""
    with atomic_write(path) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(files):
            entry = ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = ZIP_DEFLATED
            entry.create_system = 3  # Unix, also where it is not: the system is part of the bytes
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, files[name])


def unpack(path: str | os.PathLike, folder: str | os.PathLike, top: str) -> None:
    """Unpack an archive whose files all lie in ``top/`` into ``folder``; nothing is written unless all of them do.

    Raises:
        UserError: if it cannot be read, or a name leads elsewhere, is a link, or more than ``LARGEST`` bytes come out.
    """
    try:
        with ZipFile(path) as archive:
            entries = archive.infolist()
            for entry in entries:
                refuse(path, entry, top)
            if sum(entry.file_size for entry in entries) > LARGEST:
                raise UserError(f"{path} would unpack to more than {LARGEST // 2**30} GiB: not unpacked")
            for entry in entries:
                target = Path(folder) / entry.filename
                if entry.is_dir():
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, open(target, "wb") as file:
                    shutil.copyfileobj(source, file)
    except BadZipFile as error:
        raise UserError(f"{path} cannot be read as a zip file: download it again") from error


def refuse(path: str | os.PathLike, entry: ZipInfo, top: str) -> None:
    """A ``UserError`` unless the entry is a plain file or folder inside ``top``."""
    parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if parts[:1] != (top,) or ".." in parts or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UserError(f"{path} holds {entry.filename!r}, which is no file inside {top}/: not unpacked")
