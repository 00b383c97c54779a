"""A guard against losses and gradients that are not finite."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import ignite.distributed as idist
import torch
from monai.engines import IterationEvents, SupervisedTrainer
from torch import Tensor
from torch.distributed.tensor import DTensor

from monai_mae_ext.errors import UserError

__all__ = ["NonFiniteGuard", "file_names"]


def file_names(images: object) -> Sequence[str]:
    """Base names of the files that a batch of MONAI images was read from (empty if it does not know)."""
    sources = getattr(images, "meta", {}).get("filename_or_obj", [])
    return [Path(str(source)).name for source in ([sources] if isinstance(sources, str) else sources)]


class NonFiniteGuard:
    """Skip an optimiser step whose loss or gradient is not finite, say which files were in the batch, and give up in
    time.

    The step is skipped by removing the gradients, so optimiser state and weights stay untouched. Under a gradient
    scaler (AMP) the scaler itself skips; the guard then only counts. With several processes all of them skip together.
    Costs one gradient norm and one device synchronisation a step.

    Args:
        max_in_a_row: stop the run after this many skipped steps in a row.
        image_key: item of the batch whose metadata names the files.

    Raises:
        UserError: in the run, after ``max_in_a_row`` skipped steps.
    """

    def __init__(self, max_in_a_row: int = 10, image_key: str = "image") -> None:
        self.max_in_a_row = max_in_a_row
        self.image_key = image_key
        self.in_a_row = 0
        self.skipped = 0
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: SupervisedTrainer) -> None:
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: SupervisedTrainer) -> None:
        gradients = [p.grad for p in engine.network.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        figure = engine.state.output["loss"].detach() + (norm.full_tensor() if isinstance(norm, DTensor) else norm)
        if self.finite_everywhere(figure):
            self.in_a_row = 0
            return
        self.in_a_row += 1
        self.skipped += 1
        if engine.scaler is None or not engine.scaler.is_enabled():
            engine.optimizer.zero_grad(set_to_none=True)
        names = ", ".join(file_names(engine.state.batch[self.image_key])) or "unknown"
        message = f"loss or gradient not finite at iteration {engine.state.iteration}; files of the batch: {names}"
        self.logger.warning(f"{message}; step skipped ({self.skipped} so far)")
        if self.in_a_row >= self.max_in_a_row:
            raise UserError(
                f"{message}; {self.in_a_row} steps in a row were skipped: lower base_lr, or look at these files "
                "with `python -m monai_mae_ext audit`"
            )

    @staticmethod
    def finite_everywhere(figure: Tensor) -> bool:
        bad = (~torch.isfinite(figure)).float()
        if idist.get_world_size() > 1:
            bad = idist.all_reduce(bad, op="MAX")  # type: ignore[assignment]
        return not bool(bad)
