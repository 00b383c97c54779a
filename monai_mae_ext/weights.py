"""Reading checkpoints, loading weights strictly, taking the encoder out of a run, and starting another with it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import set_model_state_dict

from monai_mae_ext.checksums import check_sum
from monai_mae_ext.errors import UserError
from monai_mae_ext.networks import (
    MaskedAutoencoder,
    MaskedEncoder,
    Pretrained,
    ReportGenerator,
    TransferReport,
    ViTClassifier,
    ViTSegmenter,
    own_names,
    save_encoder,
    transfer_encoder,
)
from monai_mae_ext.sharding import WHOLE

__all__ = ["check_facts", "export_encoder", "load_pretrained", "load_weights", "read_checkpoint", "start_from"]

FREE_FACTS = ("drop_path", "checkpointing")
"""Constructor arguments that change how a network trains, and nothing of what it computes afterwards."""

StartsFromEncoder = TypeVar("StartsFromEncoder", ViTClassifier, ViTSegmenter, ReportGenerator)


def read_checkpoint(path: str | os.PathLike, device: torch.device | str = "cpu", mmap: bool = False) -> dict[str, Any]:
    """Read tensors and plain values (never code) from a file.

    Args:
        path: of ``torch.save``.
        device: where tensors go.
        mmap: leave tensors on disk until they are used, for who wants the plain values.

    Raises:
        UserError: if the file is missing, is no checkpoint, or is not the published one that lay here.
    """
    if not Path(path).is_file():
        raise UserError(f"no checkpoint at {path}: train first, or correct the path")
    check_sum(path)
    try:
        return torch.load(path, map_location=device, weights_only=True, mmap=mmap)
    except Exception as error:
        raise UserError(
            f"{path} cannot be read as a checkpoint ({type(error).__name__}): delete it or restore a copy"
        ) from error


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], source: str | os.PathLike) -> None:
    """Load a state dict strictly.

    Raises:
        UserError: if it belongs to another architecture; names ``source`` and the first difference.
    """
    own = network.state_dict()
    differences = [f"{key} is not in the file" for key in own if key not in weights]
    differences += [f"{key} is not in the network" for key in weights if key not in own]
    differences += [
        f"{key} is {tuple(weights[key].shape)} in the file and {tuple(own[key].shape)} in the network"
        for key in own if key in weights and weights[key].shape != own[key].shape
    ]  # fmt: skip
    if differences:
        raise UserError(
            f"{source} holds another architecture ({len(differences)} differences; first: {differences[0]}): "
            "use the configuration it was trained with, or another ckpt_dir"
        )
    set_model_state_dict(network, dict(weights), options=WHOLE)


def check_facts(network: nn.Module, facts: Mapping[str, Any], source: str | os.PathLike) -> None:
    """Compare what no weight's shape tells, such as the number of heads: the arguments that networks were built with.

    Args:
        network: its ``facts``, if it has any, are its own arguments.
        facts: those of the network that wrote the weights; what either side does not know is not compared.
        source: the weights' file.

    Raises:
        UserError: naming the first difference.
    """
    own = json.loads(json.dumps(getattr(network, "facts", {})))
    theirs = json.loads(json.dumps(dict(facts)))
    for name in own.keys() & theirs.keys() - set(FREE_FACTS):
        if own[name] != theirs[name]:
            raise UserError(
                f"{source} was trained with {name} {theirs[name]!r}, the network here has {own[name]!r}: set "
                f"network_def#{name}, or lay the same overlays over this configuration"
            )


def export_encoder(ckpt_dir: str | os.PathLike, out: str | os.PathLike = "encoder.safetensors") -> None:
    """Write the encoder of a training run as safetensors, with the keys of MONAI's ``ViT``.

    Args:
        ckpt_dir: the run's folder of checkpoints: the weights are those of ``model.pt``, the network's facts are in
            ``last.pt``.
        out: file to write.

    Raises:
        UserError: if a checkpoint is missing or the two do not belong together.
    """
    folder = Path(ckpt_dir)
    network = MaskedAutoencoder(**read_checkpoint(folder / "last.pt")["facts"])
    load_weights(network, read_checkpoint(folder / "model.pt"), folder / "model.pt")
    save_encoder(network, out)
    print(f"encoder of {folder / 'model.pt'} written to {out}")


def load_pretrained(encoder: MaskedEncoder, path: str | os.PathLike) -> TransferReport:
    """Start ``encoder`` from a file: read it, recognise its layout, transfer its weights, print and return the report.

    Args:
        encoder: of any network of this package.
        path: ``.safetensors``, or a torch file of tensors and plain values: an encoder or a training checkpoint of this
            project, MONAI's ``ViT``, timm's ``VisionTransformer`` or an original MAE.

    Raises:
        UserError: naming the file, if it is missing, unreadable, of no known layout, or does not fit.
    """
    try:
        report = transfer_encoder(encoder, read_pretrained(path))
    except UserError as error:
        raise UserError(f"pre-trained weights {path}: {error}") from error
    print(f"pre-trained weights {path}: {report}")
    return report


def start_from(
    network: StartsFromEncoder,
    path: str | os.PathLike | None,
    labels: Sequence[Sequence[int]] | None = None,
    freeze: bool = False,
) -> StartsFromEncoder:
    """Give a network what it starts from, and return it: one expression for a bundle's configuration.

    The biases of a classifier's head become the log-odds of the labels, so that the first steps are not spent on
    learning how rare findings are (Lin et al., arXiv 1708.02002, section 4.1).

    Args:
        network: changed in place.
        path: weights for the encoder, as in ``load_pretrained``; None to train from scratch.
        labels: for classifiers: ``(N, L)`` of the training films, 0 or 1.
        freeze: leave the encoder as it is in training (a linear probe). Its drop path should then be 0.

    Raises:
        UserError: as ``load_pretrained``.
    """
    if path is not None:
        load_pretrained(network.encoder, path)
    network.encoder.requires_grad_(not freeze)
    if labels is not None and isinstance(network, ViTClassifier):
        frequency = (torch.tensor(labels).sum(0) + 0.5) / (len(labels) + 1)
        with torch.no_grad():
            network.head.bias.copy_(frequency.logit())
    return network


def read_pretrained(path: str | os.PathLike) -> Pretrained:
    """Read weights, and from safetensors also the facts that ``save_encoder`` put there."""
    if Path(path).suffix != ".safetensors":
        return own_names(read_checkpoint(path))
    if not Path(path).is_file():
        raise UserError("no such file: correct the path")
    check_sum(path)
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
            return own_names({name: file.get_tensor(name) for name in file.keys()}, facts)
    except SafetensorError as error:
        raise UserError("cannot be read as safetensors: download or export it again") from error
