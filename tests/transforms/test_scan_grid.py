from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms import Compose, CropForeground, Orientation, Spacing, SpatialPad

from monai_mae_ext.transforms.scan_grid import labels_on_grid

OBLIQUE = nib.eulerangles.euler2mat(0.1, -0.08, 0.15)


def scan(orientation: str, spacing: tuple, rotation: np.ndarray) -> MetaTensor:
    """Three boxes of labels 1, 2, 3, smooth enough to survive resampling, in a volume of any orientation."""
    labels = np.zeros((36, 30, 24))
    labels[4:16, 5:17, 4:14], labels[20:32, 8:20, 6:18], labels[8:20, 20:27, 14:21] = 1, 2, 3
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag(spacing)
    affine[:3, 3] = (-20, 11, 300)
    image = nib.Nifti1Image(labels, affine)
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(orientation)
    )
    image = image.as_reoriented(turn)
    return MetaTensor(torch.as_tensor(np.array(image.dataobj))[None], torch.as_tensor(image.affine))


@pytest.mark.parametrize("rotation", [np.eye(3), OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize("orientation", ["RAS", "LPS", "PIR", "SAL", "ASR"])
def test_labels_come_back_to_the_scan_from_any_orientation(orientation: str, rotation: np.ndarray) -> None:
    truth = scan(orientation, (1.0, 1.2, 2.0), rotation)
    forward = Compose([
        Orientation(axcodes="RAS", labels=None), Spacing((1.0, 1.0, 1.0), mode="nearest"),
        CropForeground(margin=3), SpatialPad((48, 48, 48)),
    ])  # fmt: skip
    moved = forward(truth)
    assert moved.shape != truth.shape
    scores = torch.stack([(moved[0] == label).float() for label in range(4)])
    back = labels_on_grid(scores, moved.affine, truth.affine, truth.shape[1:])
    assert back.dtype == torch.uint8
    for label in range(1, 4):
        ours, theirs = back == label, truth[0].as_subclass(torch.Tensor) == label
        assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) > 0.9, label


def test_on_its_own_grid_nothing_changes_and_outside_is_background() -> None:
    scores = torch.rand(3, 6, 5, 4, generator=torch.Generator().manual_seed(0)).softmax(0)
    affine = torch.eye(4, dtype=torch.double)
    assert torch.equal(labels_on_grid(scores, affine, affine, (6, 5, 4)), scores.argmax(0).byte())
    far = affine.clone()
    far[0, 3] = 100
    assert not labels_on_grid(scores, affine, far, (6, 5, 4)).any()
