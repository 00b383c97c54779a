from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import center_of_mass, label

from monai_mae_ext.errors import UserError
from monai_mae_ext.phantoms import ORGANS, AbdomenPhantom, abdomen_phantom
from monai_mae_ext.phantoms.abdomen_anatomy import label_of
from monai_mae_ext.phantoms.abdomen_phantom import HU

COARSE = (4.0, 4.0, 4.0)
MILLILITRES = {
    "spleen": (120, 350), "right kidney": (90, 220), "left kidney": (90, 220), "gallbladder": (10, 60),
    "esophagus": (6, 40), "liver": (900, 2000), "stomach": (150, 500), "aorta": (40, 170),
    "inferior vena cava": (40, 170), "portal and splenic veins": (8, 40), "pancreas": (30, 110),
    "right adrenal gland": (2, 14), "left adrenal gland": (2, 14),
}  # fmt: skip


@pytest.fixture(scope="module", params=[0, 1, 2])
def phantom(request: pytest.FixtureRequest) -> AbdomenPhantom:
    return abdomen_phantom(request.param, COARSE)


def centre(phantom: AbdomenPhantom, organ: str) -> np.ndarray:
    voxels = center_of_mass(phantom.label == label_of(organ))
    return phantom.affine[:3, :3] @ voxels + phantom.affine[:3, 3]


def test_every_organ_has_a_plausible_volume(phantom: AbdomenPhantom) -> None:
    volumes = np.bincount(phantom.label.ravel(), minlength=14)[1:] * np.prod(COARSE) / 1000
    for organ, volume in zip(ORGANS, volumes, strict=True):
        low, high = MILLILITRES[organ]
        assert low < volume < high, f"{organ}: {volume:.1f} ml"


def test_organs_lie_where_they_belong(phantom: AbdomenPhantom) -> None:
    for organ in ("liver", "right kidney", "gallbladder", "right adrenal gland"):
        assert centre(phantom, organ)[0] > 10
    for organ in ("spleen", "left kidney", "stomach", "left adrenal gland"):
        assert centre(phantom, organ)[0] < -10
    assert centre(phantom, "aorta")[0] < centre(phantom, "inferior vena cava")[0]
    for side in ("right", "left"):
        assert centre(phantom, f"{side} adrenal gland")[2] > centre(phantom, f"{side} kidney")[2]
        assert centre(phantom, f"{side} kidney")[1] < centre(phantom, "stomach")[1]


def test_solid_organs_are_of_one_piece_and_have_their_hounsfield_units(phantom: AbdomenPhantom) -> None:
    for organ in ("liver", "spleen", "right kidney", "left kidney", "aorta"):
        mask = phantom.label == label_of(organ)
        pieces, _ = label(mask)
        assert np.bincount(pieces.ravel())[1:].max() > 0.9 * mask.sum(), organ
        assert 0.7 * HU[organ] < np.median(phantom.image[mask]) < 1.3 * HU[organ], organ
    assert phantom.image.min() < -950 and phantom.image.max() > 300


def test_spacing_changes_the_sampling_and_not_the_patient() -> None:
    coarse, fine = abdomen_phantom(3, (5, 5, 5)), abdomen_phantom(3, (3, 3, 4))
    assert fine.label.size > 3 * coarse.label.size
    for organ in ("liver", "spleen", "right kidney"):
        volumes = [
            (phantom.label == label_of(organ)).sum() * abs(np.linalg.det(phantom.affine)) for phantom in (coarse, fine)
        ]
        assert volumes[0] == pytest.approx(volumes[1], rel=0.06)
        np.testing.assert_allclose(centre(coarse, organ), centre(fine, organ), atol=3)


def test_a_seed_is_a_patient() -> None:
    first, again, other = (abdomen_phantom(seed, (6, 6, 6)) for seed in (4, 4, 5))
    assert np.array_equal(first.image, again.image) and np.array_equal(first.label, again.label)
    assert (first.label != other.label).mean() > 0.02


@pytest.mark.parametrize("arguments", [(-1, COARSE), (0, (0.1, 1, 1)), (0, (1, 1, 20))])
def test_arguments_out_of_range_are_refused(arguments: tuple) -> None:
    with pytest.raises(UserError, match=r"seed is at least 0 and spacing from 0.5 to 10 mm"):
        abdomen_phantom(*arguments)
