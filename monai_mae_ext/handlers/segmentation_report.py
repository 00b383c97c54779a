"""How good segmentations are, as a report."""

from __future__ import annotations

import csv
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Events
from monai.engines import Workflow
from torch import Tensor

from monai_mae_ext.data import SkippingDataset
from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write
from monai_mae_ext.metrics import dice_score, hausdorff95
from monai_mae_ext.transforms.regions import Regions, region_mask

__all__ = ["SegmentationReport"]

BRATS_DIAGONAL_MM = 373.13


class SegmentationReport:
    """Dice and HD95 (millimetres) on the scan's own grid, against labels that went through no transform.

    Writes ``per_image.csv``, ``per_class.csv`` and ``evaluation.json``. A region that is missed, or invented, has Dice
    0 and no HD95, and is counted as ``without_distance``. One that neither a scan's labels nor its segmentation have
    does not count for the scan. By the rule "brats" that has Dice 1 and HD95 0 instead, and a missed or invented region
    HD95 373.13 mm, the diagonal of a scan of BraTS. Labels on another grid than their scan are left out with a reason.

    Args:
        output_dir: gets the files.
        dataset_dir: folder that image paths are written relative to.
        regions: what is scored (``class_regions`` for classes that do not overlap).
        dataset: told what is left out.
        subsets: further means to report, a name and regions' names each, such as TransUNet's 8 organs.
        empty: what an empty region counts, "skip" or "brats".
        truth_key: item of the batch with the labels as read, ``(1, 1, *S)``.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike,
        dataset_dir: str | os.PathLike,
        regions: Regions,
        dataset: SkippingDataset,
        subsets: Mapping[str, Sequence[str]] | None = None,
        empty: str = "skip",
        truth_key: str = "truth",
    ) -> None:
        if empty not in ("skip", "brats"):
            raise UserError(f"empty is 'skip' or 'brats', not {empty!r}")
        self.output_dir, self.dataset_dir = Path(output_dir), Path(dataset_dir)
        self.regions, self.dataset, self.empty = regions, dataset, empty
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
        self.scores[os.path.relpath(source, self.dataset_dir)] = self.score(labels, expected, spacing)

    def score(self, labels: Tensor, truth: Tensor, spacing: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Dice and HD95 of each region of one scan."""
        scores = []
        for members in self.regions.values():
            pair = region_mask(labels, members), region_mask(truth, members)
            scores.append(torch.stack([dice_score(*pair), hausdorff95(*pair, spacing)]))
        dice, distance = torch.stack(scores, dim=1)
        if self.empty == "brats":
            distance = torch.where(distance.isnan(), torch.where(dice.isnan(), 0.0, BRATS_DIAGONAL_MM), distance)
            dice = dice.nan_to_num(nan=1.0)
        return dice, distance

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
            for name, ours, theirs in zip(self.regions, dice.T, distance.T, strict=True)
        ]
        summary: dict[str, Any] = {"scans": len(self.scores), "empty_regions": self.empty}
        for title, members in {"": list(self.regions), **self.subsets}.items():
            suffix = f"_{title}" if title else ""
            places = [list(self.regions).index(name) for name in members]
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
            titles = [f"{score} {name}" for score in ("dice", "hd95_mm") for name in self.regions]
            rows = [[name, *map(known, torch.cat(scores))] for name, scores in self.scores.items()]
            csv.writer(file).writerows([["image", *titles], *rows])
        for row in classes:
            self.logger.info("{class:28} Dice {dice}  HD95 {hd95_mm} mm".format(**row))
        self.logger.info(f"mean Dice {summary['mean_dice']} on {len(self.scores)} scans")


def known(value: Tensor) -> float | None:
    """A number, rounded, or None for NaN."""
    return None if value.isnan() else round(value.item(), 4)
