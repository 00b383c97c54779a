"""What the runs in a benchmark's folder were made with, so that runs of different settings never share a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write

__all__ = ["keep_settings"]


def keep_settings(out: Path, **settings: Any) -> None:
    """Note the settings in ``out``, or compare them with those that are noted there.

    Raises:
        UserError: if they differ.
    """
    path = out / "settings.json"
    text = json.dumps(settings, indent=4) + "\n"
    if not path.exists():
        with atomic_write(path) as temporary:
            temporary.write_text(text)
    elif path.read_text() != text:
        raise UserError(f"the runs in {out} were made with other settings ({path.name}): choose another --out")
