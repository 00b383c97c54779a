"""Writing reconstructions of volumes."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from ignite.engine import Events
from monai.engines import Workflow
from torch import Tensor

from monai_mae_ext.figures_volume import save_volume_panel
from monai_mae_ext.files import atomic_write, name_inside
from monai_mae_ext.transforms.display import BORROWED

__all__ = ["SaveVolumes", "stem_of"]


class SaveVolumes:
    """Write each volume's reconstructions as NIfTI, in the units of the file and the network's grid, and a panel.

    Attach it to an evaluator whose post-processing is ``SuperpatchDisplayd`` and whose batches are one volume. The
    affine places the reconstruction on the scan in any viewer. Names follow the input's path inside ``dataset_dir``:
    ``a/scan.nii.gz`` gives ``a/scan_unmasked.nii.gz``, ``a/scan_pasted.nii.gz`` and ``a/scan_panel.png``. Padding is
    cut off. Of several channels the file holds all, along its fourth axis, and the panel shows the first.

    Args:
        output_dir: where they go.
        dataset_dir: folder that input paths are taken relative to.
        low, high: the file's values that became 0 and 1, for example Hounsfield units.
        borrow: as in ``SuperpatchInferer``; decides the caption.
    """

    def __init__(
        self, output_dir: str | os.PathLike, dataset_dir: str | os.PathLike, low: float, high: float, borrow: str
    ) -> None:
        self.output_dir, self.dataset_dir = Path(output_dir), Path(dataset_dir)
        self.low, self.high, self.borrow = low, high, borrow
        self.written = 0
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self.report)

    def __call__(self, engine: Workflow) -> None:
        image = engine.state.batch["image"][0]
        output, reference = engine.state.output, engine.state.output["reference"]
        box = valid_box(reference["valid"][0, 0])
        cut = {key: output[key][0][(slice(None), *box)] for key in ("unmasked", "pasted") if key in output}
        truth = reference["image"][0][(slice(None), *box)]
        affine = np.asarray(image.affine, dtype=np.float64)
        affine[:3, 3] += affine[:3, :3] @ [side.start for side in box]
        target = self.output_dir / name_inside(stem_of(image.meta["filename_or_obj"]), self.dataset_dir)
        for key, volume in cut.items():
            self.write(target.with_name(f"{target.name}_{key}.nii.gz"), volume, affine)
        pictures = {"input": truth}
        if "pasted" in cut:
            hidden = reference["hidden"][0][(slice(None), *box)]
            pictures |= {"seen by all superpatches": truth * ~hidden, "hidden voxels predicted": cut["pasted"]}
        pictures["reconstructed, unmasked"] = cut["unmasked"]
        spacing = np.linalg.norm(affine[:3, :3], axis=0).tolist()
        panel = target.with_name(f"{target.name}_panel.png")
        save_volume_panel(panel, pictures, spacing, BORROWED[self.borrow])
        self.written += 1

    def write(self, path: Path, volume: Tensor, affine: np.ndarray) -> None:
        """Write ``(C, *S)`` with values from 0 to 1 as NIfTI in the units of the scan, rounded to whole ones."""
        values = (volume.clamp(0, 1) * (self.high - self.low) + self.low).round().to("cpu", torch.int16)
        array = (values[0] if len(values) == 1 else values.movedim(0, -1)).numpy()
        with atomic_write(path) as temporary:
            nib.save(nib.Nifti1Image(array, affine), temporary)

    def report(self, engine: Workflow) -> None:
        self.logger.info(f"{self.written} reconstructed volumes with panels in {self.output_dir}")


def valid_box(valid: Tensor) -> tuple[slice, ...]:
    """The box of voxels that are no padding, of ``valid (*S)``."""
    return tuple(slice(int(places.min()), int(places.max()) + 1) for places in valid.nonzero(as_tuple=True))


def stem_of(path: str | os.PathLike) -> Path:
    """A path without its ending, ``.nii.gz`` taken as one; of a series' folder the path as it is."""
    path = Path(path)
    return path if path.is_dir() else path.with_name(path.name.removesuffix(".gz")).with_suffix("")
