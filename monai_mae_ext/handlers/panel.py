"""Pictures of reconstructions while a network trains."""

from __future__ import annotations

import os
from pathlib import Path

import ignite.distributed as idist
import numpy as np
from ignite.engine import Events
from monai.engines import Workflow
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from monai_mae_ext.figures import save_panel
from monai_mae_ext.transforms.display import BORROWED

__all__ = ["ReconstructionPanel"]


class ReconstructionPanel:
    """Write a panel (input, what the encoder saw, reconstruction, error) of the first validation batch as PNG.

    Attach it to an evaluator whose post-processing is ``Displayd``.

    Args:
        output_dir: gets ``panels/epoch_0001.png`` and so on.
        patch_size, borrow: as in ``Displayd``; ``borrow`` decides the caption.
        n_images: rows of the panel.
        summary_writer: a TensorBoard writer that gets the panel too.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike,
        patch_size: int,
        borrow: str,
        n_images: int = 4,
        summary_writer: SummaryWriter | None = None,
    ) -> None:
        self.output_dir = Path(output_dir)
        self.patch_size, self.borrow, self.n_images = patch_size, borrow, n_images
        self.summary_writer = summary_writer

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        if engine.state.iteration > 1 or idist.get_rank() > 0:
            return
        path = self.output_dir / "panels" / f"epoch_{engine.state.epoch:04d}.png"
        output = engine.state.output
        reference = {key: value[: self.n_images] for key, value in output["reference"].items()}
        save_panel(path, output["reconstruction"][: self.n_images], reference, self.patch_size, BORROWED[self.borrow])
        if self.summary_writer is not None:
            picture = np.asarray(Image.open(path).convert("RGB"))
            self.summary_writer.add_image("reconstruction", picture, engine.state.epoch, dataformats="HWC")
