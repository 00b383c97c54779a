"""Active learning: how interesting is an image to label? One number an image, kept until the weights change."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from monai.data.utils import list_data_collate, set_rnd
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.utils.others.generic import name_to_device
from torch import Tensor

from monai_mae_ext.files import atomic_write
from monai_mae_ext.label.bundle import LabelBundle
from monai_mae_ext.label.errors import one_line
from monai_mae_ext.label.infer import SegmentationInference

__all__ = ["BundleScoring", "PredictiveEntropy", "ReconstructionError", "Scores"]

logger = logging.getLogger(__name__)


class Scores:
    """A JSON file of scores. Not the studies' own list: labels could be lost if scoring, a process of its own, wrote
    that while annotators do.

    Args:
        folder: of all scores.
        method: name of the scoring method.
        studies: what the images belong to.
    """

    def __init__(self, folder: Path, method: str, studies: str) -> None:
        self.path = folder / f"{method}_{hashlib.sha256(studies.encode()).hexdigest()[:12]}.json"

    def read(self) -> dict[str, dict[str, Any]]:
        """For each image its ``score``, None if it could not be scored, and the ``weights`` by their time."""
        return json.loads(self.path.read_text()) if self.path.is_file() else {}

    def note(self, image: str, score: float | None, weights: int) -> None:
        with atomic_write(self.path) as temporary:
            temporary.write_text(json.dumps(self.read() | {image: {"score": score, "weights": weights}}, indent=1))


class BundleScoring(ScoringMethod):
    """Score images without label that have no score by the weights in service."""

    key: str
    """Last part of the method's name, behind the bundle's."""

    def __init__(self, description: str, bundle: LabelBundle, scores: Scores) -> None:
        super().__init__(description)
        self.bundle, self.scores = bundle, scores

    def stale(self, datastore: Datastore) -> list[str]:
        """The images to score; none as long as there are no weights."""
        if not self.bundle.weights.is_file():
            return []
        known, weights = self.scores.read(), self.bundle.weights.stat().st_mtime_ns
        images = sorted(datastore.get_unlabeled_images())
        return [image for image in images if known.get(image, {}).get("weights") != weights]

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Score them, and again if the weights changed meanwhile. An image that cannot be scored is noted, and not
        tried again with the same weights."""
        device, count = name_to_device(request.get("device")), 0
        while images := self.stale(datastore):
            weights = self.bundle.weights.stat().st_mtime_ns
            self.prepare(device)
            for image in images:
                self.scores.note(image, self.score_or_none(image, datastore, device), weights)
            count += len(images)
        return {"scored": count}

    def score_or_none(self, image: str, datastore: Datastore, device: str) -> float | None:
        try:
            with torch.no_grad():
                score = self.score(self.bundle.item(datastore.get_image_uri(image)), device)
        except Exception as error:
            logger.warning("%s is not scored: %s", image, one_line(error))
            return None
        return score if math.isfinite(score) else None

    def prepare(self, device: str) -> None:
        """Load what ``score`` needs."""
        raise NotImplementedError

    def score(self, item: dict[str, Any], device: str) -> float:
        raise NotImplementedError


class ReconstructionError(BundleScoring):
    """The masked autoencoder's validation loss on one image, with the same masks and superpatches at each time."""

    key = "error"

    def __init__(self, bundle: LabelBundle, scores: Scores) -> None:
        super().__init__(f"Masked reconstruction error of {bundle.name}", bundle, scores)

    def prepare(self, device: str) -> None:
        self.network, self.parser = self.bundle.network("train", device), self.bundle.parser("train")
        self.parser["device"] = device

    def score(self, item: dict[str, Any], device: str) -> float:
        transform = self.parser.get_parsed_content("validate#preprocessing")
        set_rnd(transform, 0)
        batch = list_data_collate([transform(item)])
        image, label, masks, _ = self.parser.get_parsed_content("prepare_batch")(batch, device)
        return self.parser.get_parsed_content("loss")(self.network(image, *masks), label).item()


class PredictiveEntropy(BundleScoring):
    """Mean entropy, in nats, of the segmenter's predictions over the voxels that are not 0 in all channels."""

    key = "entropy"

    def __init__(self, bundle: LabelBundle, scores: Scores) -> None:
        super().__init__(f"Predictive entropy of {bundle.name}", bundle, scores)
        self.task = SegmentationInference(bundle)

    def prepare(self, device: str) -> None:
        self.task._get_network(device, None)

    def score(self, item: dict[str, Any], device: str) -> float:
        data = self.task.run_pre_transforms(item, self.task.pre_transforms())
        data = self.task.run_inferer(data, device=device)
        inside = (data["image"].as_subclass(Tensor) != 0).any(0)
        return entropy(data["pred"].cpu(), self.task.exclusive)[inside].mean().item()


def entropy(logits: Tensor, exclusive: bool) -> Tensor:
    """Entropy ``(*S)`` in nats of ``logits (C, *S)``: of one class out of ``C``, or the mean over ``C`` regions."""
    if exclusive:
        return -(logits.softmax(0) * logits.log_softmax(0)).sum(0)
    log_yes, log_no = torch.nn.functional.logsigmoid(logits), torch.nn.functional.logsigmoid(-logits)
    return -(log_yes.exp() * log_yes + log_no.exp() * log_no).mean(0)
