from __future__ import annotations

from pathlib import Path

import itk
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from monai_mae_ext.dicom.volume import read_series
from tests.dicom.scans import AXIAL, CORONAL, SAGITTAL, expected_values, only_series, read, scan, write_scan

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
TILTED = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
ORIENTATIONS = {
    "axial": (AXIAL, (0, 0, 2.5)),
    "axial, feet first": (AXIAL, (0, 0, -2.5)),
    "coronal": (CORONAL, (0, 3, 0)),
    "sagittal": (SAGITTAL, (-1.5, 0, 0)),
    "prone": (((-1, 0, 0), (0, -1, 0)), (0, 0, 1.25)),
    "mirrored": (((-1, 0, 0), (0, 1, 0)), (0, 0, 2)),
    "oblique": (TILTED[:2], 1.7 * TILTED[2]),
}


def read_with_itk(folder: Path, orthogonal: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Values (columns, rows, slices) and RAS+ affine as ITK's GDCM reader sees the one series of a folder."""
    names = itk.GDCMSeriesFileNames.New(Directory=str(folder))
    reader = itk.ImageSeriesReader[itk.Image[itk.F, 3]].New(
        FileNames=names.GetFileNames(names.GetSeriesUIDs()[0]),
        ImageIO=itk.GDCMImageIO.New(),
        ForceOrthogonalDirection=orthogonal,
    )
    reader.Update()
    image = reader.GetOutput()
    affine = np.eye(4)
    affine[:3, :3] = itk.array_from_matrix(image.GetDirection()) * np.asarray(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return itk.array_from_image(image).T, LPS_TO_RAS @ affine


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_values_and_affine_are_those_of_an_independent_reader(tmp_path, name):
    axes, step = ORIENTATIONS[name]
    volume = read(tmp_path, scan(5, step, axes))
    values, affine = read_with_itk(tmp_path)
    np.testing.assert_array_equal(volume.values, values)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)
    assert volume.values.dtype == np.int16 and volume.notes == ()


def test_an_axial_scan_by_hand(tmp_path):
    images = scan(3, (0, 0, 2.5), origin=(-20, 10, 30), spacing=(0.75, 0.5))
    volume = read(tmp_path, images)
    np.testing.assert_array_equal(volume.affine, [[-0.5, 0, 0, 20], [0, -0.75, 0, -10], [0, 0, 2.5, 30], [0, 0, 0, 1]])
    np.testing.assert_array_equal(volume.values, expected_values(images))


def test_a_tilted_gantry_shears_the_affine_and_keeps_the_values(tmp_path):
    images = scan(5, (0, 2.5 * np.tan(np.radians(18)), 2.5))
    volume = read(tmp_path, images)
    values, affine = read_with_itk(tmp_path, orthogonal=False)
    np.testing.assert_array_equal(volume.values, values)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)
    assert volume.notes == ("slices stacked at 18.0 degrees to their normal: the affine is sheared",)


def test_neither_names_nor_instance_numbers_order_slices_and_headers_follow_them(tmp_path):
    images = scan(6)
    for number, place in zip((3, 1, 6, 2, 5, 4), images, strict=True):
        place.InstanceNumber = number
    volume = read(tmp_path, images)
    np.testing.assert_array_equal(volume.values, expected_values(images))
    assert [header.InstanceNumber for header in volume.headers] == [3, 1, 6, 2, 5, 4]
    assert not any("PixelData" in header for header in volume.headers)


@settings(max_examples=30, deadline=None)
@given(
    turn=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.05, 5)] * 2),
    between=st.floats(0.3, 10),
    origin=st.tuples(*[st.floats(-900, 900)] * 3),
    n=st.integers(2, 4),
)
def test_affine_maps_voxels_to_the_positions_in_their_headers(tmp_path_factory, turn, spacing, between, origin, n):
    axes = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    folder = write_scan(tmp_path_factory.mktemp("scan"), scan(n, between * axes[2], axes[:2], origin, spacing))
    volume = read_series(only_series(folder))
    for k, header in enumerate(volume.headers):
        along = np.asarray(header.ImageOrientationPatient, float).reshape(2, 3)
        rows, columns = np.asarray(header.PixelSpacing, float)
        for column, row in (0, 0), (1, 0), (0, 1), (3, 4):
            place = np.asarray(header.ImagePositionPatient, float) + columns * column * along[0] + rows * row * along[1]
            np.testing.assert_allclose(volume.affine @ (column, row, k, 1), LPS_TO_RAS @ (*place, 1), atol=1e-4)
    assert np.linalg.det(volume.affine[:3, :3]) > 0
