"""Running a bundle's inference over a folder of images, from Python."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from monai.bundle import ConfigWorkflow

from monai_mae_ext.dicom.algorithm import Algorithm
from monai_mae_ext.errors import UserError, user_error_behind
from monai_mae_ext.overlays import overlay_paths

__all__ = ["InferenceBundle", "open_bundle"]


class InferenceBundle(NamedTuple):
    """A bundle's ``folder``, the paths of ``overlays`` over its ``inference.json``, and what its metadata says.

    ``modality`` is what it takes, such as CT; ``channels`` how many images at once; ``output`` is "segmentation",
    "classification" or another format.
    """

    folder: Path
    overlays: Sequence[Path]
    algorithm: Algorithm
    modality: str
    channels: int
    output: str

    def infer(self, dataset_dir: Path, output_dir: Path, **overrides: Any) -> tuple[list[str], dict[str, str]]:
        """Run it over ``dataset_dir``; returns its label names, and for files without result, by their name, why.

        Raises:
            UserError: if it cannot run at all, for instance without weights.
        """
        configs = [self.folder / "configs" / "inference.json", *self.overlays]
        places = {"bundle_root": str(self.folder), "dataset_dir": str(dataset_dir), "output_dir": str(output_dir)}
        workflow = ConfigWorkflow(
            config_file=[str(path) for path in configs],
            meta_file=str(self.folder / "configs" / "metadata.json"),
            workflow_type="inference",
            **places,
            **overrides,
        )
        workflow.initialize()
        parser = workflow.parser
        try:
            workflow.run()
        except Exception as error:
            user_error = user_error_behind(error)
            if user_error is None:
                raise
            if not parser.get_parsed_content("dataset").bad:
                raise UserError(str(user_error)) from error
        finally:
            workflow.finalize()
        names = [str(name) for name in parser.get_parsed_content("label_names")]
        return names, {Path(path).name: reason for path, reason in parser.get_parsed_content("dataset").bad.items()}


def open_bundle(folder: str | os.PathLike, overlays: Sequence[str] | str = ()) -> InferenceBundle:
    """Read what a bundle's metadata says of it; ``overlays`` as ``overlay_paths`` takes them.

    Raises:
        UserError: if the folder is no bundle of this project that names its labels, or has no such overlay.
    """
    root = Path(folder).absolute()
    for name in ("metadata", "inference"):
        if not (root / "configs" / f"{name}.json").is_file():
            raise UserError(f"{root} has no configs/{name}.json: give the folder of a bundle")
    config = json.loads((root / "configs" / "inference.json").read_text())
    metadata = json.loads((root / "configs" / "metadata.json").read_text())
    formats = metadata["network_data_format"]
    image, prediction = formats["inputs"].get("image"), formats["outputs"].get("pred")
    if not (image and prediction and "label_names" in config and "dataset" in config):
        raise UserError(f"{root} is no bundle of this project that names its labels: give another")
    return InferenceBundle(
        root,
        overlay_paths(root, overlays),
        Algorithm(root.name, metadata["version"]),
        image["modality"],
        int(image["num_channels"]),
        prediction["format"],
    )
