from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from monai_mae_ext.figures_volume import plane_of, save_volume_panel


@pytest.mark.parametrize(
    ("axis", "corner", "where"),
    [
        (2, (-1, -1, 2), (0, 0)),  # axial: right and anterior are above on the left
        (1, (-1, 2, -1), (0, 0)),  # coronal: right and cranial
        (0, (2, -1, -1), (0, 0)),  # sagittal: anterior (left) and cranial
    ],
)
def test_planes_are_shown_as_radiologists_look_at_them(axis: int, corner: tuple, where: tuple) -> None:
    volume = np.zeros((5, 5, 5))
    volume[corner] = 1
    assert plane_of(volume, axis, 2)[where] == 1


def test_a_panel_has_three_planes_and_keeps_millimetres(tmp_path) -> None:
    volume = torch.rand(1, 10, 12, 6, generator=torch.Generator().manual_seed(0))
    save_volume_panel(tmp_path / "panel.png", {"input": volume, "same": volume}, (1, 1, 3), "nothing borrowed")
    pixels = np.asarray(Image.open(tmp_path / "panel.png").convert("RGB")).astype(int)
    assert pixels.shape[0] > 600 and pixels.std() > 10
