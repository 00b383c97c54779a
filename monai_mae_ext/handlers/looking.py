"""How often the host may ask a device for a number."""

from __future__ import annotations

import torch

__all__ = ["look_every"]


def look_every(device: torch.device | str) -> int:
    """Steps between two looks at numbers on ``device``: 1 on a CPU; 32 on others, since a look waits for the device."""
    return 1 if torch.device(device).type == "cpu" else 32
