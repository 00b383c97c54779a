"""Parameter groups for AdamW."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from monai_mae_ext.networks import ReportGenerator, ViTClassifier, ViTSegmenter

__all__ = ["layer_decay_groups", "report_groups", "weight_decay_groups"]


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


def layer_decay_groups(
    network: ViTClassifier | ViTSegmenter, lr: float, weight_decay: float = 0.05, layer_decay: float = 0.75
) -> list[dict[str, Any]]:
    """Trainable parameters in groups whose learning rate falls from the head down to the patch embedding.

    Of ``L`` blocks, block ``l`` (from 0) learns at ``lr * layer_decay ** (L - l)``, the embedding one step slower, the
    final norm and everything outside the encoder at ``lr`` (BEiT; MAE, arXiv 2111.06377, appendix A). Vectors, class
    token and positions do not decay.

    Args:
        lr: rate of the head.
        weight_decay: of the matrices.
        layer_decay: in (0, 1]; 1 for one rate everywhere.
    """
    depth = len(network.encoder.blocks)
    groups: dict[tuple[int, float], dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        layer = layer_of(name, depth)
        decay = 0.0 if parameter.ndim <= 1 or name.endswith(("cls_token", "position_embeddings")) else weight_decay
        group = {"params": [], "lr": lr * layer_decay ** (depth + 1 - layer), "weight_decay": decay}
        groups.setdefault((layer, decay), group)["params"].append(parameter)
    return [groups[key] for key in sorted(groups, reverse=True)]


def report_groups(
    network: ReportGenerator, encoder_lr: float, decoder_lr: float, weight_decay: float = 0.05
) -> list[dict[str, Any]]:
    """Trainable parameters with one learning rate for the encoder and one for all else; vectors do not decay."""
    encoder = [{**group, "lr": encoder_lr} for group in weight_decay_groups(network.encoder, weight_decay)]
    inside = {id(parameter) for parameter in network.encoder.parameters()}
    decoder = [
        {**group, "params": [p for p in group["params"] if id(p) not in inside], "lr": decoder_lr}
        for group in weight_decay_groups(network, weight_decay)
    ]
    return [group for group in encoder + decoder if group["params"]]


def layer_of(name: str, depth: int) -> int:
    """Number of a parameter's layer: 0 the embedding, 1 to ``depth`` the blocks, ``depth + 1`` all that follows."""
    if match := re.match(r"encoder\.blocks\.(\d+)\.", name):
        return int(match[1]) + 1
    return 0 if name.startswith(("encoder.patch_embedding.", "encoder.cls_token")) else depth + 1
