"""Configurations that users lay over a bundle's own, by their names or paths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monai_mae_ext.errors import UserError

__all__ = ["overlay_paths"]


def overlay_paths(bundle: Path, overlays: Sequence[str] | str) -> list[Path]:
    """Where overlays are: ``quick`` is ``configs/quick.json`` in the bundle's folder, what ends in .json is a path.

    Args:
        bundle: its folder.
        overlays: names and paths; as one text, parted by commas.

    Raises:
        UserError: if there is no such overlay.
    """
    names = [name for name in overlays.split(",") if name] if isinstance(overlays, str) else overlays
    paths = [Path(name) if name.endswith(".json") else bundle / "configs" / f"{name}.json" for name in names]
    for path in paths:
        if not path.is_file():
            raise UserError(f"no overlay at {path}: correct the name")
    return paths
