"""What an encoder knows about findings, without any training: a probe for between and after."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Events
from monai.engines import Workflow
from monai.networks.utils import eval_mode
from torch import Tensor

from monai_mae_ext.files import atomic_write
from monai_mae_ext.handlers.classification_report import MIN_POSITIVES, write_rows
from monai_mae_ext.metrics import classification_table, mean_scores, neighbour_scores, paired_difference
from monai_mae_ext.networks import MaskedAutoencoder, MaskedEncoder, ViTClassifier, random_twin

__all__ = ["NeighbourProbe"]


class NeighbourProbe:
    """k-nearest-neighbour classification on the frozen encoder's mean token, beside that of a random encoder.

    As a handler of a pre-training's evaluator it adds ``knn_mean_auc`` and ``knn_mean_auc_random`` to the metrics and
    logs them, so that one sees whether the encoder learns what the task needs; or call ``report``. Labels are looked at
    here alone, never by the pre-training.

    Args:
        network: holds the encoder. Its random twin has the same architecture and always the same weights.
        reference: loader of the labelled films that vote: batches with ``image (B, C, *S)`` and ``label (B, L)``.
        films: loader of the films that are classified; their batches also have ``patient``.
        label_names: of the L classes.
        neighbours: number of films that vote.
    """

    def __init__(
        self,
        network: MaskedAutoencoder | ViTClassifier,
        reference: Iterable[dict[str, Any]],
        films: Iterable[dict[str, Any]],
        label_names: Sequence[str],
        neighbours: int = 20,
    ) -> None:
        self.network, self.twin = network, random_twin(network)
        self.reference, self.films = reference, films
        self.label_names, self.neighbours = label_names, neighbours
        self.random: Tensor | None = None
        self.labels: Tensor
        self.patients: list[str]
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        difference = self.compare()  # by every process, since all of them may be needed to compute
        engine.state.metrics["knn_mean_auc"] = difference["mean_auc_a"]
        engine.state.metrics["knn_mean_auc_random"] = difference["mean_auc_b"]

    def compare(self) -> dict[str, float | None]:
        """Classify with the encoder and with its random twin; log and return the paired difference."""
        self.scores = self.classify(self.network.encoder)
        if self.random is None:
            self.random = self.classify(self.twin.encoder.to(next(self.network.parameters()).device))
        difference = paired_difference(self.scores, self.random, self.labels, self.patients)
        if idist.get_rank() > 0:
            return difference
        if difference["difference"] is None:
            self.logger.warning("k-NN probe: no class has positives and negatives among the films: probe more")
        else:
            self.logger.info(
                f"k-NN probe on {len(self.labels)} films: mean AUC {difference['mean_auc_a']:.3f}, of a random encoder "
                f"{difference['mean_auc_b']:.3f}; difference {difference['difference']:+.3f} "
                f"({difference['difference_low']:+.3f} to {difference['difference_high']:+.3f})"
            )
        return difference

    def classify(self, encoder: MaskedEncoder) -> Tensor:
        """Scores ``(N, L)`` of the films; keeps their labels and patients."""
        known, votes, _ = encode(encoder, self.reference)
        features, self.labels, self.patients = encode(encoder, self.films)
        return neighbour_scores(known, votes, features, self.neighbours)

    def report(self, output_dir: str | os.PathLike) -> None:
        """Write ``knn_probe.json`` (mean AUC with intervals, difference to random) and ``knn_per_class.csv``."""
        difference = self.compare()
        labels = self.labels.numpy().astype(int)
        means = mean_scores(self.scores, labels, self.label_names, self.patients, min_positives=MIN_POSITIVES)
        with atomic_write(Path(output_dir) / "knn_probe.json") as path:
            path.write_text(json.dumps(means | {"against_random": difference}, indent=4) + "\n")
        table = classification_table(self.scores, labels, self.label_names, self.patients)
        write_rows(Path(output_dir) / "knn_per_class.csv", table)


@torch.no_grad()
def encode(encoder: MaskedEncoder, loader: Iterable[dict[str, Any]]) -> tuple[Tensor, Tensor, list[str]]:
    """Mean patch token ``(N, D)``, labels ``(N, L)`` and patients of a loader's films, on the CPU."""
    features, labels, patients = [], [], []
    device = next(encoder.parameters()).device
    leading = int(encoder.cls_token is not None)
    with eval_mode(encoder):
        for batch in loader:
            tokens = encoder(batch["image"].as_subclass(Tensor).to(device))[:, leading:]
            features.append(tokens.mean(1).float().cpu())
            labels.append(batch["label"].as_subclass(Tensor).cpu())
            patients += batch["patient"]
    return torch.cat(features), torch.cat(labels), patients
