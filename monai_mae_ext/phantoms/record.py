"""What a folder of phantoms was made with, so that it is made once and never mixed with another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write

__all__ = ["is_complete", "write_record"]

RECORD = "phantoms.json"


def is_complete(folder: Path, arguments: Mapping[str, Any]) -> bool:
    """Whether ``folder`` holds this very data set; an empty or missing folder, or an interrupted run, does not.

    Raises:
        UserError: if it holds anything else.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    record_path = folder / RECORD
    if not record_path.is_file():
        raise UserError(f"{folder} holds something that is not a phantom data set: choose another out_dir")
    record = json.loads(record_path.read_text())
    if record["arguments"] != arguments:
        raise UserError(f"{folder} holds phantoms of other arguments ({RECORD}): choose another out_dir or delete it")
    return record["complete"]


def write_record(folder: Path, arguments: Mapping[str, Any], complete: bool) -> None:
    """Note the arguments, and whether all files are there."""
    with atomic_write(folder / RECORD) as path:
        path.write_text(json.dumps({"complete": complete, "arguments": arguments}, indent=2) + "\n")
