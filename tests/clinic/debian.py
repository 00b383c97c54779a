"""Programs of Debian packages that tests/clinic/setup.sh unpacked, with the libraries that came with them."""

from __future__ import annotations

import os
from pathlib import Path

CLINIC = Path(__file__).parents[2] / ".clinic"
ORTHANC, CHROMIUM = CLINIC / "orthanc", CLINIC / "chromium"
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/pulseaudio")


def environment_of(root: Path) -> dict[str, str]:
    """The environment in which programs under ``root`` find their libraries."""
    return os.environ | {"LD_LIBRARY_PATH": ":".join(str(root / folder) for folder in LIBRARIES)}
