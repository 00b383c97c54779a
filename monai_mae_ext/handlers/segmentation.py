"""From a segmenter's scores to labels on the scan's own grid, as files and as a report."""

from __future__ import annotations

import csv
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from ignite.engine import Events
from monai.data.meta_tensor import MetaTensor
from monai.engines import Workflow
from torch import Tensor

from monai_mae_ext.data import SkippingDataset
from monai_mae_ext.figures_volume import save_label_overlay
from monai_mae_ext.files import atomic_write
from monai_mae_ext.handlers.save_volumes import stem_of
from monai_mae_ext.metrics import dice_scores, hausdorff95
from monai_mae_ext.transforms.scan_grid import labels_on_grid

__all__ = ["SaveSegmentations", "ScanLabels", "SegmentationReport"]


class ScanLabels:
    """Put ``labels (*S)``, uint8, on the scan's own grid into the evaluator's output. Attach it before the others here.

    Batches are one volume; its ``image`` must come from ``LoadImaged`` and keep its affine up to date, as MONAI's
    transforms do.
    """

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        image = engine.state.batch["image"][0]
        probabilities = engine.state.output["pred"][0].as_subclass(Tensor).float().softmax(0)
        engine.state.output["labels"] = labels_on_grid(
            probabilities, image.affine, torch.as_tensor(image.meta["original_affine"]), scan_size(image)
        ).cpu()


def scan_size(image: MetaTensor) -> list[int]:
    """Voxels of the scan as it was read, along each axis."""
    return [int(side) for side in image.meta["spatial_shape"]]


class SaveSegmentations:
    """Write each scan's labels as NIfTI in its own geometry, an overlay to look at, and the organs' volumes.

    Names follow the input's path inside ``dataset_dir``: ``a/scan.nii.gz`` gives ``a/scan_seg.nii.gz`` and
    ``a/scan_overlay.png``. ``volumes.csv`` has a row a scan, in millilitres.

    Args:
        output_dir: where they go.
        dataset_dir: folder that input paths are taken relative to.
        names: of the classes, the background first.
        value_range: black and white of the overlay, in the image's units behind the transforms.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike,
        dataset_dir: str | os.PathLike,
        names: Sequence[str],
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.output_dir, self.dataset_dir = Path(output_dir), Path(dataset_dir)
        self.names, self.value_range = names, value_range
        self.rows: list[list[Any]] = []
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self.report)

    def reset(self, engine: Workflow) -> None:
        self.rows = []

    def __call__(self, engine: Workflow) -> None:
        image, labels = engine.state.batch["image"][0], engine.state.output["labels"]
        affine = np.asarray(image.meta["original_affine"], dtype=np.float64)
        name = Path(os.path.relpath(stem_of(image.meta["filename_or_obj"]), self.dataset_dir))
        target = self.output_dir / name
        with atomic_write(target.with_name(f"{target.name}_seg.nii.gz")) as path:
            nib.save(nib.Nifti1Image(labels.numpy(), affine), path)
        millilitres = abs(np.linalg.det(affine[:3, :3])) / 1000
        counts = torch.bincount(labels.flatten().long(), minlength=len(self.names))[1:]
        self.rows.append([str(name), *(round(float(count * millilitres), 2) for count in counts)])
        shown = engine.state.output["pred"][0].as_subclass(Tensor).argmax(0).cpu().numpy()
        spacing = np.linalg.norm(np.asarray(image.affine)[:3, :3], axis=0).tolist()
        grey = image[0].as_subclass(Tensor).cpu().numpy()
        overlay = target.with_name(f"{target.name}_overlay.png")
        save_label_overlay(overlay, grey, shown, spacing, self.names, self.value_range)

    def report(self, engine: Workflow) -> None:
        with atomic_write(self.output_dir / "volumes.csv") as path, open(path, "w", newline="") as file:
            csv.writer(file).writerows([["image", *(f"{name} (ml)" for name in self.names[1:])], *self.rows])
        self.logger.info(f"{len(self.rows)} segmentations with overlays in {self.output_dir}")


class SegmentationReport:
    """Dice and HD95 (millimetres) on the scan's own grid, against labels that went through no transform.

    Writes ``per_image.csv``, ``per_class.csv`` and ``evaluation.json``. A class that neither a scan's labels nor its
    segmentation have does not count for the scan; one that is missed, or invented, has Dice 0 and no HD95, and is
    counted as ``without_distance``. Labels on another grid than their scan are left out with a reason.

    Args:
        output_dir: gets the files.
        dataset_dir: folder that image paths are written relative to.
        names: of the classes, the background first.
        dataset: told what is left out.
        subsets: further means to report, a name and class names each, such as TransUNet's 8 organs.
        truth_key: item of the batch with the labels as read, ``(1, 1, *S)``.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike,
        dataset_dir: str | os.PathLike,
        names: Sequence[str],
        dataset: SkippingDataset,
        subsets: Mapping[str, Sequence[str]] | None = None,
        truth_key: str = "truth",
    ) -> None:
        self.output_dir, self.dataset_dir = Path(output_dir), Path(dataset_dir)
        self.names, self.dataset = names, dataset
        self.subsets, self.truth_key = subsets or {}, truth_key
        self.scores: dict[str, tuple[Tensor, Tensor]] = {}
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def reset(self, engine: Workflow) -> None:
        self.scores = {}

    def __call__(self, engine: Workflow) -> None:
        image, truth = engine.state.batch["image"][0], engine.state.batch[self.truth_key][0]
        source, labels = image.meta["filename_or_obj"], engine.state.output["labels"]
        affine = np.asarray(image.meta["original_affine"])
        if truth[0].shape != labels.shape or not np.allclose(affine, truth.meta["original_affine"], atol=1e-2):
            self.dataset.leave_out(source, "its labels lie on another grid: resample them to the image's")
            return
        spacing = np.linalg.norm(affine[:3, :3], axis=0).tolist()
        expected = truth[0].as_subclass(Tensor).cpu().round().to(torch.uint8)
        pair = labels, expected, len(self.names)
        self.scores[os.path.relpath(source, self.dataset_dir)] = dice_scores(*pair), hausdorff95(*pair, spacing)

    def write(self, engine: Workflow) -> None:
        if not self.scores:
            return
        dice, distance = (torch.stack(values) for values in zip(*self.scores.values(), strict=True))
        classes = [
            {
                "class": name,
                "scans": int((~ours.isnan()).sum()),
                "dice": known(ours.nanmean()),
                "hd95_mm": known(theirs.nanmean()),
                "without_distance": int((~ours.isnan() & theirs.isnan()).sum()),
            }
            for name, ours, theirs in zip(self.names[1:], dice.T, distance.T, strict=True)
        ]
        summary: dict[str, Any] = {"scans": len(self.scores)}
        for title, members in {"": self.names[1:], **self.subsets}.items():
            suffix = f"_{title}" if title else ""
            places = [list(self.names[1:]).index(name) for name in members]
            summary[f"mean_dice{suffix}"] = known(dice[:, places].nanmean(0).nanmean())
            summary[f"mean_hd95_mm{suffix}"] = known(distance[:, places].nanmean(0).nanmean())
        summary["classes"] = classes
        with atomic_write(self.output_dir / "evaluation.json") as path:
            path.write_text(json.dumps(summary, indent=4) + "\n")
        with atomic_write(self.output_dir / "per_class.csv") as path, open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, list(classes[0]))
            writer.writeheader()
            writer.writerows(classes)
        with atomic_write(self.output_dir / "per_image.csv") as path, open(path, "w", newline="") as file:
            titles = [f"{score} {name}" for score in ("dice", "hd95_mm") for name in self.names[1:]]
            rows = [[name, *map(known, torch.cat(scores))] for name, scores in self.scores.items()]
            csv.writer(file).writerows([["image", *titles], *rows])
        for row in classes:
            self.logger.info("{class:28} Dice {dice}  HD95 {hd95_mm} mm".format(**row))
        self.logger.info(f"mean Dice {summary['mean_dice']} on {len(self.scores)} scans")


def known(value: Tensor) -> float | None:
    """A number, rounded, or None for NaN."""
    return None if value.isnan() else round(value.item(), 4)
