"""Phantom CT studies as DICOM, read as any other."""

from __future__ import annotations

import numpy as np
import pytest

from monai_mae_ext.dicom import find_series, read_series
from monai_mae_ext.errors import UserError
from monai_mae_ext.phantoms import abdomen_phantom, write_abdomen_studies


def test_a_study_is_the_phantom_at_its_place(tmp_path):
    folder = write_abdomen_studies(tmp_path / "studies", 1, spacing=6, seed=3)
    (series,) = find_series(folder / "study_01")
    volume = read_series(series)
    phantom = abdomen_phantom(3000, (6.0, 6.0, 7.5))
    np.testing.assert_array_equal(volume.values[::-1, ::-1], np.clip(phantom.image, -1024, 3071).astype(int))
    corner = [phantom.image.shape[0] - 1, phantom.image.shape[1] - 1, 0, 1]
    np.testing.assert_allclose(volume.affine @ [0, 0, 0, 1], phantom.affine @ corner, atol=1e-4)


def test_the_same_arguments_give_the_same_files_and_others_are_refused(tmp_path):
    first, again = (write_abdomen_studies(tmp_path / name, 2, spacing=6) for name in ("a", "b"))
    files = {path.relative_to(first): path.read_bytes() for path in first.rglob("*.dcm")}
    assert files == {path.relative_to(again): path.read_bytes() for path in again.rglob("*.dcm")}
    assert len({path.parent for path in files}) == 2
    with pytest.raises(UserError, match="other arguments"):
        write_abdomen_studies(first, 3, spacing=6)
    with pytest.raises(UserError, match=r"spacing in 1\.\.6"):
        write_abdomen_studies(tmp_path / "c", 1, spacing=9)
