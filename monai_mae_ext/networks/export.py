"""The encoder on its own: weights that load strictly into MONAI's ``ViT`` and ``UNETR.vit``, and a file for them."""

from __future__ import annotations

import json
import os
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.files import write_tensors
from monai_mae_ext.networks.mae import MaskedAutoencoder

__all__ = ["encoder_weights", "load_encoder", "save_encoder"]


def encoder_weights(network: MaskedAutoencoder, cls_token: bool | None = None) -> dict[str, Tensor]:
    """The encoder's weights under exactly the keys of a ``monai.networks.nets.ViT`` of the same sizes.

    Without class token they load with ``strict=True`` into ``ViT(classification=False, ...)`` and, with patches of 16
    and 12 layers, into ``UNETR(...).vit``, given the same ``qkv_bias``. Dropping the class token of a network that was
    trained with one changes its features a little, since the patches attended to it. ``ViT(classification=True, ...)``
    has a class token, and also a head that is not in these weights.

    Args:
        network: a masked autoencoder.
        cls_token: whether the target has a class token; None for as the network has it.

    Returns:
        The weights themselves, not copies, on their device. The ``norm_cross_attn`` that every MONAI block carries and
        never uses is filled with the identity.

    Raises:
        UserError: if a class token is asked for and the network has none.
    """
    encoder = network.encoder
    weights = encoder.state_dict()
    for index in range(len(encoder.blocks)):
        weights[f"blocks.{index}.norm_cross_attn.weight"] = torch.ones_like(encoder.norm.weight.data)
        weights[f"blocks.{index}.norm_cross_attn.bias"] = torch.zeros_like(encoder.norm.bias.data)
    if cls_token and "cls_token" not in weights:
        raise UserError("the network has no class token to export: build it with cls_token=True, or ask for none")
    if cls_token is False:
        weights.pop("cls_token", None)
    return dict(weights)


def save_encoder(network: MaskedAutoencoder, path: str | os.PathLike) -> None:
    """Write ``encoder_weights(network)`` as safetensors, atomically, with ``network.facts`` as JSON in the metadata."""
    write_tensors(path, encoder_weights(network), {"facts": json.dumps(network.facts)})


def load_encoder(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what ``save_encoder`` wrote.

    Returns:
        The weights, on the CPU, and the ``facts`` of the network they come from.

    Raises:
        UserError: if the file is missing, or is not an encoder that ``save_encoder`` wrote.
    """
    if not os.path.isfile(path):
        raise UserError(f"no encoder at {path}: export one from a trained network with save_encoder")
    try:
        with safe_open(path, "pt") as file:
            facts = (file.metadata() or {})["facts"]
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(facts)
    except (SafetensorError, KeyError) as error:
        raise UserError(f"{path} is not an encoder that save_encoder wrote: export it again") from error
