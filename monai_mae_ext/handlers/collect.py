"""What a classifier put out in one pass over a loader, film by film."""

from __future__ import annotations

from typing import Any

import torch
from ignite.engine import Events
from monai.engines import Workflow
from monai.utils import evenly_divisible_all_gather
from torch import Tensor, nn
from torch.utils.data import DistributedSampler

from monai_mae_ext.networks import ViTClassifier

__all__ = ["CollectOutputs", "items_are_shared"]


def items_are_shared(engine: Workflow) -> bool:
    """Whether each process sees some of the loader's items; else each sees all of them."""
    return isinstance(getattr(engine.data_loader, "sampler", None), DistributedSampler)


class CollectOutputs:
    """Keep logits, labels and features of every film of a pass, on the CPU; of all processes, if they share the films.

    The features are what the head is given, so that they cost no second forward pass. Handlers that need them hold one
    of these and call ``gather`` when the pass is over.

    Args:
        network: in evaluation mode, the one that the engine runs.
    """

    def __init__(self, network: ViTClassifier) -> None:
        self.network = network
        self.batches: dict[str, list[Tensor]] = {}
        self.shared = False  # else each process sees all films

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        self.network.head.register_forward_pre_hook(self.note_features)

    def reset(self, engine: Workflow) -> None:
        self.shared = items_are_shared(engine)
        self.batches = {"features": [], "logits": [], "labels": []}

    def note_features(self, head: nn.Module, arguments: tuple[Any, ...]) -> None:
        if self.batches and not self.network.training:
            self.latest = arguments[0]

    def collect(self, engine: Workflow) -> None:
        self.batches["features"].append(self.latest.float().cpu())
        self.batches["logits"].append(engine.state.output["pred"].float().cpu())
        if engine.state.output["label"] is not None:
            self.batches["labels"].append(engine.state.output["label"].cpu())

    def gather(self) -> dict[str, Tensor]:
        """``features (N, D)``, ``logits (N, L)`` and, where the loader gives them, ``labels (N, L)``."""
        joined = {name: torch.cat(parts) for name, parts in self.batches.items() if parts}
        if not self.shared:
            return joined
        return {name: evenly_divisible_all_gather(values, concat=True) for name, values in joined.items()}
