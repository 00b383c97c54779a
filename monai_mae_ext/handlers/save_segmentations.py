"""Writing segmentations: labels, overlays, volumes."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from ignite.engine import Events
from monai.engines import Workflow
from torch import Tensor

from monai_mae_ext.figures_volume import save_label_overlay
from monai_mae_ext.files import atomic_write, name_inside
from monai_mae_ext.handlers.save_volumes import stem_of
from monai_mae_ext.transforms.regions import Regions, class_regions, region_mask

__all__ = ["SaveSegmentations"]


class SaveSegmentations:
    """Write each scan's labels as NIfTI in its own geometry, an overlay to look at, and the regions' volumes.

    Names follow the input's path inside ``dataset_dir``: ``a/scan.nii.gz`` gives ``a/scan_seg.nii.gz``,
    ``a/scan_overlay.png``, and on request ``a/scan_prob.nii.gz``, whose fourth axis are the regions. ``volumes.csv``
    has a row a scan, in millilitres.

    Args:
        output_dir: where they go.
        dataset_dir: folder that input paths are taken relative to.
        names: of the labels, the background first.
        regions: whose volumes are told; None for those of the labels.
        value_range: black and white of the overlay, in the image's units behind the transforms.
        probabilities: write them too; ``ScanRegions`` must have put them into the output.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike,
        dataset_dir: str | os.PathLike,
        names: Sequence[str],
        regions: Regions | None = None,
        value_range: tuple[float, float] = (0.0, 1.0),
        probabilities: bool = False,
    ) -> None:
        self.output_dir, self.dataset_dir = Path(output_dir), Path(dataset_dir)
        self.names, self.value_range, self.probabilities = names, value_range, probabilities
        self.regions = regions or class_regions(names)
        self.rows: list[list[Any]] = []
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self.report)

    def reset(self, engine: Workflow) -> None:
        self.rows = []

    def __call__(self, engine: Workflow) -> None:
        image, output = engine.state.batch["image"][0], engine.state.output
        affine = np.asarray(image.meta["original_affine"], dtype=np.float64)
        name = name_inside(stem_of(image.meta["filename_or_obj"]), self.dataset_dir)
        target = self.output_dir / name
        volumes = {"seg": output["labels"].numpy()}
        if self.probabilities:
            volumes["prob"] = output["probabilities"].movedim(0, -1).numpy()
        for ending, values in volumes.items():
            with atomic_write(target.with_name(f"{target.name}_{ending}.nii.gz")) as path:
                nib.save(nib.Nifti1Image(values, affine), path)
        millilitres = abs(np.linalg.det(affine[:3, :3])) / 1000
        counts = [region_mask(output["labels"], members).sum() for members in self.regions.values()]
        self.rows.append([str(name), *(round(float(count * millilitres), 2) for count in counts)])
        spacing = np.linalg.norm(np.asarray(image.affine)[:3, :3], axis=0).tolist()
        grey, shown = image[0].as_subclass(Tensor).cpu().numpy(), output["shown"].numpy()
        overlay = target.with_name(f"{target.name}_overlay.png")
        save_label_overlay(overlay, grey, shown, spacing, self.names, self.value_range)

    def report(self, engine: Workflow) -> None:
        with atomic_write(self.output_dir / "volumes.csv") as path, open(path, "w", newline="") as file:
            csv.writer(file).writerows([["image", *(f"{name} (ml)" for name in self.regions)], *self.rows])
        self.logger.info(f"{len(self.rows)} segmentations with overlays in {self.output_dir}")
