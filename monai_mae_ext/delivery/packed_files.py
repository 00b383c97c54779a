"""What goes into a bundle's zip: configurations with their overlays, documents, weights with their sums."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from monai.utils import ensure_tuple_rep
from safetensors.torch import save

from monai_mae_ext.checksums import sum_beside
from monai_mae_ext.delivery.provenance import installed_versions
from monai_mae_ext.networks import MaskedAutoencoder, encoder_weights
from monai_mae_ext.overlays import overlay_paths
from monai_mae_ext.weights import load_weights, read_checkpoint

__all__ = [
    "WHOLE",
    "about_weights",
    "as_json",
    "build_network",
    "documents",
    "fit_to_network",
    "packed_metadata",
    "read_configs",
    "training_facts",
    "weight_files",
]

WHOLE = ("train.json", "inference.json")
"""Configurations that stand alone: what the weights were trained with is laid over them."""


def as_json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=4) + "\n").encode()


def read_configs(folder: Path, overlays: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A bundle's configurations by file name; ``overlays`` become part of the ``WHOLE`` ones.

    Raises:
        UserError: if there is no such overlay.
    """
    own = folder / "configs"
    laid = overlay_paths(folder, overlays)
    configs = {}
    for path in sorted(own.glob("*.json")):
        if path.name != "metadata.json":
            whole = path.name in WHOLE  # what is laid over another file cannot be merged with nothing
            configs[path.name] = (
                ConfigParser.load_config_files([path, *laid]) if whole else ConfigParser.load_config_file(path)
            )
    return configs


def packed_metadata(folder: Path) -> dict[str, Any]:
    """The bundle's metadata with the packages that its code needs."""
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    apart = ("python", "monai", "torch", "numpy", "monai-mae-ext")  # they have fields of their own, or travel inside
    needed = {name: version for name, version in installed_versions().items() if name not in apart}
    return metadata | {"required_packages_version": needed}


def documents(folder: Path, picture: str | None) -> dict[str, bytes]:
    """Licence and docs, with a picture for the index page."""
    paths = [folder / "LICENSE", folder / "configs" / "logging.conf", *sorted((folder / "docs").rglob("*"))]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.is_file()}
    if picture is not None:
        files["docs/picture.png"] = Path(picture).read_bytes()
    return files


def build_network(folder: Path, configs: Mapping[str, dict[str, Any]]) -> Any:
    """The network of the packed inference, which has ``facts``. This evaluates the bundle's expressions."""
    parser = ConfigParser(deepcopy(configs["inference.json"]))  # it rewrites what it is given
    parser.read_meta(folder / "configs" / "metadata.json")
    return parser.get_parsed_content("network_def")


def about_weights(metadata: dict[str, Any], data_source: str, evaluation: str | None) -> str:
    """Note in the metadata what weights were trained on, and their scores; returns a section for the model card."""
    scores = json.loads(Path(evaluation).read_text()) if evaluation is not None else {}
    numbers = {name: value for name, value in scores.items() if isinstance(value, int | float)}
    metadata |= {"data_source": data_source, "eval_metrics": numbers}
    rows = "".join(f"| `{name}` | {value:.4g} |\n" for name, value in numbers.items())
    table = (
        f"\nScores of `run evaluating` with the test section:\n\n| score | value |\n|---|---|\n{rows}" if rows else ""
    )
    return f"\n## These weights\n\nTrained on {data_source}. More in `provenance.json`.\n{table}"


def fit_to_network(metadata: dict[str, Any], network: Any) -> dict[str, Any]:
    """Give the metadata's input, and an output of the same shape, the image size that the network was built for."""
    data = metadata["network_data_format"]
    image, pred = data["inputs"]["image"], data["outputs"]["pred"]
    size = list(ensure_tuple_rep(network.facts["img_size"], len(image["spatial_shape"])))
    if pred["spatial_shape"] == image["spatial_shape"]:
        pred["spatial_shape"] = size
    image["spatial_shape"] = size
    return metadata


def weight_files(folder: Path, network: Any) -> dict[str, bytes]:
    """``models/model.pt``, the same as safetensors, of a masked autoencoder also ``encoder.safetensors``, and what
    training left beside them; each weight's sum beside it.

    Raises:
        UserError: if there are no weights, or they do not fit the network.
    """
    weights = read_checkpoint(folder / "model.pt")
    load_weights(network, weights, folder / "model.pt")
    paths = [folder / "model.pt", *sorted(folder.glob("*.json")), *sorted(folder.glob("*.safetensors"))]
    files = {path.name: path.read_bytes() for path in paths}
    facts = {"facts": json.dumps(network.facts)}
    files["model.safetensors"] = save(dict(network.state_dict()), facts)
    if isinstance(network, MaskedAutoencoder):
        files["encoder.safetensors"] = save(encoder_weights(network), facts)
    for name in [name for name in files if Path(name).suffix in (".pt", ".safetensors")]:
        line = f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n"
        files[sum_beside(name).name] = line.encode()
    return {f"models/{name}": content for name, content in files.items()}


def training_facts(folder: Path) -> dict[str, Any]:
    """How far the training went that left its checkpoints in ``folder``."""
    last = read_checkpoint(folder / "last.pt", mmap=True)
    return {"epochs": last["epoch"], "best": last.get("best")}
