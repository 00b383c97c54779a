"""A bundle of this project as the label server sees it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from torch import nn

from monai_mae_ext.errors import UserError
from monai_mae_ext.label.image_check import check_image
from monai_mae_ext.overlays import overlay_paths
from monai_mae_ext.weights import load_weights, read_checkpoint

__all__ = ["LabelBundle"]

KINDS = {"ViTSegmenter": "segmentation", "ViTClassifier": "classification", "MaskedAutoencoder": "pretraining"}
"""What a bundle is for, by its network."""


class LabelBundle:
    """Configurations with their overlays, weights, and what images its network takes. Evaluates nothing when made.

    Args:
        folder: the bundle's.
        overlays: configurations that are laid over ``train.json`` and ``inference.json``, as ``overlay_paths`` takes
            them.

    Attributes:
        kind: "segmentation", "classification" or "pretraining".
        modality: of its images, as in the metadata; a pre-training of the same modality may lend its encoder.
        weights: ``model.pt``, which may not be there yet.
        encoder: of a pre-training, ``encoder.safetensors``, which may not be there yet.

    Raises:
        UserError: for a folder that is no bundle, an overlay that is not there, or a network of another project.
    """

    def __init__(self, folder: Path, overlays: Sequence[str] = ()) -> None:
        self.folder, self.name = folder.resolve(), folder.name
        self.laid_over = overlay_paths(self.folder, overlays)
        target = str(self.merged("train").get("network_def", {}).get("_target_")).rpartition(".")[2]
        if target not in KINDS:
            raise UserError(f"{self.folder} has a network {target}, the label server takes {', '.join(KINDS)}")
        self.kind = KINDS[target]
        self.metadata = json.loads(self.config_file("metadata").read_text())
        data = self.metadata["network_data_format"]["inputs"]["image"]
        self.modality, self.spatial_dims = data["modality"], len(data["spatial_shape"])
        self.weights = self.folder / "models" / "model.pt"
        self.encoder = self.folder / "models" / "encoder.safetensors"

    def config_file(self, name: str) -> Path:
        path = self.folder / "configs" / f"{name}.json"
        if not path.is_file():
            raise UserError(f"no {path}: name a bundle of this project")
        return path

    def files(self, workflow: str) -> list[Path]:
        """The configuration "train" or "inference" with what is laid over it."""
        return [self.config_file(workflow), *self.laid_over]

    def merged(self, workflow: str) -> dict[str, Any]:
        return ConfigParser.load_config_files(self.files(workflow))

    def parser(self, workflow: str) -> ConfigParser:
        """A parser of its own, whose items can be asked for; the code that a packed bundle carries is imported."""
        parser = ConfigParser(self.merged(workflow))
        parser.read_meta(self.config_file("metadata"))
        parser["bundle_root"] = str(self.folder)
        if "code" in parser:
            parser.get_parsed_content("code")
        return parser

    @cached_property
    def channels(self) -> int:
        """Channels that the network takes."""
        return self.parser("train").get_parsed_content("network_def#in_channels")

    @cached_property
    def modalities(self) -> list[str] | None:
        """What each channel is, if the bundle tells them apart."""
        return self.merged("train").get("modalities")

    def network(self, workflow: str, device: str) -> nn.Module:
        """The network with its weights, in evaluation mode.

        Raises:
            UserError: if there are no weights yet, or they belong to another architecture.
        """
        if not self.weights.is_file():
            raise UserError(f"{self.name} has no weights yet: train it first")
        network = self.parser(workflow).get_parsed_content("network_def")
        load_weights(network, read_checkpoint(self.weights), self.weights)
        return network.to(device).eval()

    def item(self, image: str, **others: Any) -> dict[str, Any]:
        """An item of a data list: ``image`` and ``others``, and for MRI which sequences are the image's channels.

        Raises:
            UserError: for an image that the network cannot take.
        """
        check_image(image, self.spatial_dims, self.channels)
        named = {"modalities": self.modalities, "scan": image} if self.modalities else {}
        return {"image": image, **named, **others}
