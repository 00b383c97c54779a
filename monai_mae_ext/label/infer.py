"""Inference tasks: what the bundle's own inference would give, for one image of a client."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.inferers import Inferer
from monailabel.interfaces.tasks.infer_v2 import InferType
from monailabel.tasks.infer.basic_infer import BasicInferTask
from torch import Tensor, nn

from monai_mae_ext.errors import UserError
from monai_mae_ext.familiarity import Familiarity
from monai_mae_ext.handlers.calibrate import CALIBRATION, FAMILIARITY
from monai_mae_ext.label.bundle import LabelBundle
from monai_mae_ext.metrics import Calibration

__all__ = ["ClassificationInference", "SegmentationInference"]


class BundleInference(BasicInferTask):
    """Transforms, inferer and network of ``inference.json``.

    The transforms see the bundle's item of a data list and nothing of the request: MONAI's ``Spacingd`` takes every
    key that begins with ``image_`` for metadata and breaks at MONAI Label's ``image_path``, and our bundles drop what
    they do not know. It is listed to clients as soon as there are weights, and takes new weights by their time.
    """

    def __init__(self, bundle: LabelBundle, kind: InferType) -> None:
        self.bundle = bundle
        super().__init__(
            path=str(bundle.weights),
            network=None,
            type=kind,
            labels=self.label_values(),
            dimension=bundle.spatial_dims,
            description=bundle.metadata["task"],
        )

    @cached_property
    def parser(self) -> ConfigParser:
        return self.bundle.parser("inference")

    def label_values(self) -> dict[str, int]:
        """The number by which results name each label."""
        raise NotImplementedError

    def info(self) -> dict[str, Any]:
        return super().info() | {"version": self.bundle.metadata["version"]}

    def pre_transforms(self, data: Any = None) -> Sequence[Callable]:
        return self.parser.get_parsed_content("preprocessing").transforms

    def run_pre_transforms(self, data: dict[str, Any], transforms: Sequence[Callable]) -> dict[str, Any]:
        item = super().run_pre_transforms(self.bundle.item(data["image"]), transforms)
        return {**data, "image": item["image"]}

    def inferer(self, data: Any = None) -> Inferer:
        return self.parser.get_parsed_content("inferer")

    def post_transforms(self, data: Any = None) -> Sequence[Callable]:
        return []

    def _get_network(self, device: str, data: Any) -> nn.Module:
        written = self.bundle.weights.stat().st_mtime_ns if self.is_valid() else None
        if device not in self._networks or self._networks[device][1] != written:
            self._networks[device] = self.bundle.network("inference", device), written
        return self._networks[device][0]


class SegmentationInference(BundleInference):
    """Labels on the image's own grid, made by the handler that makes them in the bundle's own inference."""

    def __init__(self, bundle: LabelBundle) -> None:
        super().__init__(bundle, InferType.SEGMENTATION)

    @cached_property
    def handlers(self) -> dict[str, str]:
        """Ids of the handlers in ``inference.json`` by the names of their classes."""
        handlers = self.parser["handlers"]
        return {handler["_target_"].rpartition(".")[2]: f"handlers#{place}" for place, handler in enumerate(handlers)}

    def label_values(self) -> dict[str, int]:
        names = self.parser.get_parsed_content(f"{self.handlers['SaveSegmentations']}#names")
        return {name: value for value, name in enumerate(names) if value}

    @property
    def exclusive(self) -> bool:
        """Whether a voxel has one class; of regions it may have several."""
        return "ScanLabels" in self.handlers

    def post_transforms(self, data: Any = None) -> Sequence[Callable]:
        return [self.label_scan]

    def label_scan(self, data: dict[str, Any]) -> dict[str, Any]:
        """Put labels in the place of scores, and beside them the affine that MONAI Label's writer wants."""
        label = self.parser.get_parsed_content(self.handlers["ScanLabels" if self.exclusive else "ScanRegions"])
        output = {"pred": [data["pred"]]}
        label(SimpleNamespace(state=SimpleNamespace(batch={"image": [data["image"]]}, output=output)))
        grid = {"affine": data["image"].meta["original_affine"]}
        return {**data, "pred": output["labels"], "pred_meta_dict": grid}


class ClassificationInference(BundleInference):
    """Calibrated probabilities, and the findings at or above their thresholds, as JSON.

    Raises:
        UserError: (when called) for an image unlike the films that the classifier was validated on.
    """

    def __init__(self, bundle: LabelBundle) -> None:
        super().__init__(bundle, InferType.CLASSIFICATION)

    def label_values(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.parser.get_parsed_content("label_names"))}

    def run_inferer(self, data: dict[str, Any], convert_to_batch: bool = True, device: str = "cuda") -> dict[str, Any]:
        network: Any = self._get_network(device, data)
        with torch.no_grad():
            features = network.standardize(network.features(data["image"].as_subclass(Tensor)[None].to(device)))
            logits = network.head(features)[0].cpu()
        reference = self.bundle.weights.with_name(FAMILIARITY)
        if reference.is_file() and self.parser.get_parsed_content("refuse_unfamiliar"):
            familiarity = Familiarity.load(reference)
            distance = familiarity.distance(features).item()
            if distance > familiarity.threshold:
                raise UserError(
                    f"it does not look like the films of the validation: distance {distance:.3f}, familiar up to "
                    f"{familiarity.threshold:.3f}; start the server with other weights, or look at the image"
                )
        return {**data, "pred": logits}

    def writer(self, data: dict[str, Any], extension: Any = None, dtype: Any = None) -> tuple[str, dict[str, Any]]:
        """A temporary JSON file, which may be kept as the image's label, and what is in it."""
        fitted = self.bundle.weights.with_name(CALIBRATION)
        if fitted.is_file():
            calibration = Calibration.load(fitted, list(self.labels))
            scores, thresholds = calibration.apply(data["pred"]).tolist(), calibration.thresholds
        else:
            scores, thresholds = data["pred"].sigmoid().tolist(), (0.5,) * len(self.labels)
        found = list(zip(self.labels, scores, thresholds, strict=True))
        result = {
            "prediction": [
                {"idx": place, "label": name, "score": score} for place, (name, score, _) in enumerate(found)
            ],
            "findings": [name for name, score, threshold in found if threshold is not None and score >= threshold],
        }
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
            json.dump(result, file)
        return file.name, result
