"""Writing reconstructions of a folder's images."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
from ignite.engine import Events
from monai.engines import Workflow
from PIL import Image
from torch import Tensor

from monai_mae_ext.figures import save_panel
from monai_mae_ext.files import atomic_write
from monai_mae_ext.handlers.picture_path import picture_path
from monai_mae_ext.transforms.display import BORROWED

__all__ = ["SaveReconstructions"]


class SaveReconstructions:
    """Write each image's reconstruction as 8-bit PNG, and a panel with its input, mask and error.

    Attach it to an evaluator whose post-processing is ``Displayd``. Names follow the input's path inside
    ``dataset_dir``,
    with folders kept: ``a/film.dcm`` gives ``a/film_reconstruction.png`` and ``a/film_panel.png``.

    Args:
        output_dir: where the pictures go.
        dataset_dir: folder that input paths are taken relative to.
        patch_size, borrow: as in ``Displayd``.
    """

    def __init__(
        self, output_dir: str | os.PathLike, dataset_dir: str | os.PathLike, patch_size: int, borrow: str
    ) -> None:
        self.output_dir, self.dataset_dir = Path(output_dir), Path(dataset_dir)
        self.patch_size, self.borrow = patch_size, borrow
        self.written = 0
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self.report)

    def __call__(self, engine: Workflow) -> None:
        output = engine.state.output
        for index, source in enumerate(engine.state.batch["image"].meta["filename_or_obj"]):
            picture = output["reconstruction"][index : index + 1]
            reference = {key: value[index : index + 1] for key, value in output["reference"].items()}
            target, panel = (
                picture_path(self.output_dir, source, self.dataset_dir, kind) for kind in ("reconstruction", "panel")
            )
            save_grey(target, picture[0, 0])
            save_panel(panel, picture, reference, self.patch_size, BORROWED[self.borrow])
            self.written += 1

    def report(self, engine: Workflow) -> None:
        self.logger.info(f"{self.written} reconstructions and panels in {self.output_dir}")


def save_grey(path: Path, image: Tensor) -> None:
    """Write a 2-D image with values in [0, 1] (clipped) as 8-bit PNG."""
    grey = (image.clamp(0, 1) * 255).round().to("cpu").numpy().astype(np.uint8)
    with atomic_write(path) as temporary:
        Image.fromarray(grey).save(temporary)
