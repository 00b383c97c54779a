from __future__ import annotations

import gzip

import itk
import nibabel as nib
import numpy as np
import pytest

from monai_mae_ext.dicom.volume import save_nifti
from monai_mae_ext.errors import UserError
from tests.dicom.scans import SECRETS, change, read, scan
from tests.dicom.test_orientation import LPS_TO_RAS, TILTED


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize("slope", [1, 0.3])
def test_other_readers_get_the_same_volume(tmp_path, name, slope):
    images = [change(each, RescaleSlope=slope) for each in scan(3, 1.5 * TILTED[2], TILTED[:2])]
    volume = read(tmp_path / "scan", images)
    save_nifti(volume, tmp_path / "out" / name)
    image = nib.nifti1.load(tmp_path / "out" / name)
    assert image.get_data_dtype() == volume.values.dtype
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), volume.values)
    np.testing.assert_allclose(image.affine, volume.affine, atol=1e-5)
    np.testing.assert_allclose(image.get_qform(), volume.affine, atol=1e-4)
    assert (image.header["sform_code"], image.header["qform_code"]) == (1, 1)
    assert image.header.get_xyzt_units()[0] == "mm"
    other = itk.imread(str(tmp_path / "out" / name), itk.F)
    np.testing.assert_allclose(itk.array_from_image(other).T, volume.values)
    place = (*other.TransformIndexToPhysicalPoint([1, 2, 2]), 1)
    np.testing.assert_allclose(LPS_TO_RAS @ place, volume.affine @ (1, 2, 2, 1), atol=1e-3)


def test_a_sheared_affine_is_kept_and_no_qform_denies_it(tmp_path):
    volume = read(tmp_path / "scan", scan(3, (0, 1, 2.5)))
    save_nifti(volume, tmp_path / "scan.nii")
    image = nib.nifti1.load(tmp_path / "scan.nii")
    np.testing.assert_allclose(image.affine, volume.affine, atol=1e-5)
    assert image.header["qform_code"] == 0


def test_the_file_tells_nothing_of_the_patient(tmp_path):
    save_nifti(read(tmp_path / "scan", scan(3)), tmp_path / "scan.nii.gz")
    content = (tmp_path / "scan.nii.gz").read_bytes() + gzip.decompress((tmp_path / "scan.nii.gz").read_bytes())
    assert not any(secret.encode() in content.lower() for secret in SECRETS)


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(UserError, match="scan.mha is no name for a NIfTI file: end it in .nii or .nii.gz"):
        save_nifti(read(tmp_path / "scan", scan(2)), tmp_path / "scan.mha")


def test_a_crash_leaves_the_old_file(tmp_path, monkeypatch):
    volume = read(tmp_path / "scan", scan(2))
    (tmp_path / "scan.nii").write_bytes(b"old")

    def crash(image, path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(nib, "save", crash)
    with pytest.raises(OSError, match="disk full"):
        save_nifti(volume, tmp_path / "scan.nii")
    assert {path.name for path in tmp_path.iterdir()} == {"scan", "scan.nii"}
    assert (tmp_path / "scan.nii").read_bytes() == b"old"
