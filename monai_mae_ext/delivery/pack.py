"""From a bundle's folder and trained weights to a zip that works alone, downloaded by stock MONAI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monai_mae_ext.delivery.carried_code import CarriedCode
from monai_mae_ext.delivery.lint import findings
from monai_mae_ext.delivery.packed_files import (
    WHOLE,
    about_weights,
    as_json,
    build_network,
    documents,
    fit_to_network,
    packed_metadata,
    read_configs,
    training_facts,
    weight_files,
)
from monai_mae_ext.delivery.provenance import config_hash, data_manifest, installed_versions
from monai_mae_ext.delivery.zoo import publish
from monai_mae_ext.errors import UserError

__all__ = ["pack"]


def pack(
    bundle: str,
    out: str = "dist",
    weights: str | None = None,
    overlays: Sequence[str] | str = (),
    data_source: str | None = None,
    dataset_dir: str | None = None,
    evaluation: str | None = None,
    picture: str | None = None,
    url: str = "",
) -> None:
    """Write ``NAME_vVERSION.zip`` to the folder ``out``, and enter it in that folder's ``model_info.json``, index page
    and sums.

    The zip holds one folder, NAME: the bundle as it is, the code that it needs, and weights as ``model.pt`` and
    ``model.safetensors`` with their sums and provenance. The same input gives the same bytes.

    Args:
        bundle: its folder. It must pass ``lint``.
        out: the zoo: what is there already stays, and a version that is there is never replaced by other bytes.
        weights: folder of a training's ``model.pt``; none for a bundle without weights.
        overlays: configurations that were laid over ``train.json`` in training, names such as ``quick`` or paths:
            they become part of the packed ``train.json`` and ``inference.json``.
        data_source: what the weights were trained on, in words, for model card, metadata and index page.
        dataset_dir: what was trained on: its hash goes into the provenance.
        evaluation: ``evaluation.json`` of the weights, for the same.
        picture: PNG for the index page.
        url: where the folder ``out`` will be served, for ``model_info.json``.

    Raises:
        UserError: if lint finds anything, weights do not fit the network, or another zip of this version was published.
    """
    folder = Path(bundle).resolve()
    found = [finding for finding in findings(folder) if not finding.file.startswith("models/")]  # those stay at home
    if found:
        raise UserError(f"{folder} has {len(found)} findings: mend what python -m monai_mae_ext lint shows, then pack")
    code, overlays = CarriedCode(), overlays.split(",") if isinstance(overlays, str) else overlays
    configs = read_configs(folder, overlays)
    metadata = packed_metadata(folder)
    provenance: dict[str, Any] = {"configs": {name: config_hash(configs[name]) for name in WHOLE}, "code": code.name}
    files = {path: text.encode() for path, text in code.files().items()} | documents(folder, picture)
    if weights is not None:
        if data_source is None:
            raise UserError("say with --data_source what the weights were trained on: users ask that first")
        files["docs/README.md"] += about_weights(metadata, data_source, evaluation).encode()
        network = build_network(folder, configs)
        files |= weight_files(Path(weights), network)
        metadata = fit_to_network(metadata, network)
        provenance |= {"overlays": list(overlays)} | training_facts(Path(weights))
    if dataset_dir is not None:
        provenance["data"] = data_manifest(dataset_dir)
    provenance["versions"] = installed_versions()
    files |= {f"configs/{name}": as_json(code.configuration(config)) for name, config in configs.items()}
    files |= {"configs/metadata.json": as_json(metadata), "docs/provenance.json": as_json(provenance)}
    publish(Path(out), folder.name, files, url)
