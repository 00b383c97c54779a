"""Parameter groups for AdamW."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["weight_decay_groups"]


def weight_decay_groups(network: nn.Module, weight_decay: float = 0.05) -> list[dict[str, Any]]:
    """Trainable parameters in two groups: matrices, which decay, and biases, norms and other vectors, which do not.

    Class and mask tokens decay, as in the original MAE's pre-training (they are ``(1, 1, D)``, not vectors). Fixed
    positions are in no group.
    """
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
