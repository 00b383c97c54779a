"""A guard against losses and gradients that are not finite."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import ignite.distributed as idist
import torch
from ignite.engine import Events
from monai.engines import IterationEvents, SupervisedTrainer
from torch import Tensor
from torch.distributed.tensor import DTensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.handlers.looking import look_every

__all__ = ["NonFiniteGuard", "file_names"]


def file_names(images: object) -> Sequence[str]:
    """Base names of the files that a batch of MONAI images was read from (empty if it does not know)."""
    sources = getattr(images, "meta", {}).get("filename_or_obj", [])
    return [Path(str(source)).name for source in ([sources] if isinstance(sources, str) else sources)]


class NonFiniteGuard:
    """Skip an optimiser step whose loss or gradient is not finite, say which files were in the batch, and give up in
    time.

    Optimiser state and weights stay untouched, and with several processes all of them skip together. A fused optimiser
    is told on the device, as a gradient scaler tells it, and the host looks only now and then, since each look waits
    for the device; of others the gradients are removed, which takes a look a step. Under a gradient scaler (AMP) the
    scaler itself skips; the guard then only counts. Costs one gradient norm a step.

    Args:
        max_in_a_row: stop the run after this many skipped steps in a row.
        image_key: item of the batch whose metadata names the files.
        look_every: steps between two looks; None: as the function of that name has it for the device.

    Raises:
        UserError: in the run, at a look after ``max_in_a_row`` skipped steps.
    """

    def __init__(self, max_in_a_row: int = 10, image_key: str = "image", look_every: int | None = None) -> None:
        self.max_in_a_row, self.image_key, self.look_every = max_in_a_row, image_key, look_every
        self.in_a_row = 0
        self.skipped = 0
        self.unseen: list[tuple[int, Tensor, Sequence[str]]] = []
        """Iteration, whether it was bad (1 or 0, on the device), and files of the steps since the last look."""
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: SupervisedTrainer) -> None:
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.look)

    def __call__(self, engine: SupervisedTrainer) -> None:
        gradients = [p.grad for p in engine.network.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        whole = norm.full_tensor() if isinstance(norm, DTensor) else norm
        bad = (~torch.isfinite(engine.state.output["loss"].detach() + whole)).float()
        if idist.get_world_size() > 1:
            bad = idist.all_reduce(bad, op="MAX")  # type: ignore[assignment]
        self.unseen.append((engine.state.iteration, bad, file_names(engine.state.batch[self.image_key])))
        scaled = engine.scaler is not None and engine.scaler.is_enabled()
        fused = engine.optimizer.defaults.get("fused") and whole is norm
        every = self.look_every or look_every(bad.device)
        if fused and not scaled and every > 1:
            engine.optimizer.found_inf = bad  # type: ignore[attr-defined]
        if len(self.unseen) >= every or not (fused or scaled):
            if self.look(engine) and not scaled:
                engine.optimizer.zero_grad(set_to_none=True)

    def look(self, engine: SupervisedTrainer) -> bool:
        """Count the bad ones of the steps since the last look, and name their files; whether the latest was bad."""
        if not self.unseen:
            return False
        flags = torch.stack([bad for _, bad, _ in self.unseen]).tolist()
        steps, self.unseen = self.unseen, []
        for (iteration, _, files), bad in zip(steps, flags, strict=True):
            self.in_a_row = self.in_a_row + 1 if bad else 0
            if bad:
                self.note(iteration, files)
        return bool(flags[-1])

    def note(self, iteration: int, files: Sequence[str]) -> None:
        self.skipped += 1
        message = f"loss or gradient not finite at iteration {iteration}; files of the batch: "
        message += ", ".join(files) or "unknown"
        self.logger.warning(f"{message}; step skipped ({self.skipped} so far)")
        if self.in_a_row >= self.max_in_a_row:
            raise UserError(
                f"{message}; {self.in_a_row} steps in a row were skipped: lower base_lr, or look at these files "
                "with `python -m monai_mae_ext audit`"
            )
