from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from monai_mae_ext.errors import UserError
from monai_mae_ext.phantoms.chest_findings import FINDINGS
from monai_mae_ext.phantoms.chest_phantom import ChestPhantom, chest_phantom

SIZE = 128
SEEDS = range(4)


def fields(phantom: ChestPhantom) -> tuple[np.ndarray, np.ndarray]:
    """The two lung fields as (right, left) masks: the larger components, ordered by their place on the film."""
    labels, _ = ndimage.label(phantom.lungs)
    largest = np.argsort(np.bincount(labels.ravel())[1:])[-2:] + 1
    first, second = sorted(largest, key=lambda label: np.nonzero(labels == label)[1].mean())
    return labels == first, labels == second


def mean_change(seed: int, finding: str, where: np.ndarray) -> float:
    """How much brighter ``finding`` makes the film in ``where``, against the same film without it."""
    return float((chest_phantom(seed, SIZE, [finding]).image - chest_phantom(seed, SIZE, []).image)[where].mean())


def heart_width(phantom: ChestPhantom) -> int:
    """Pixels brighter than halfway between lung and mediastinum, from wall to wall at the level of the heart."""
    rows, columns = np.nonzero(phantom.thorax)
    row = int(np.quantile(rows, 0.72))
    inside = columns[rows == row]
    margin = (inside.max() - inside.min()) // 8
    profile = ndimage.gaussian_filter(phantom.image, 1.5)[row, inside.min() + margin : inside.max() - margin]
    return int((profile > (profile.min() + profile.max()) / 2).sum())


@pytest.mark.parametrize("seed", SEEDS)
def test_a_film_is_grey_and_knows_its_thorax(seed: int) -> None:
    phantom = chest_phantom(seed, SIZE)
    assert phantom.image.shape == phantom.thorax.shape == phantom.lungs.shape == (SIZE, SIZE)
    assert phantom.image.dtype == np.float32 and phantom.thorax.dtype == phantom.lungs.dtype == bool
    assert 0 <= phantom.image.min() < 0.1 and 0.7 < phantom.image.max() <= 1
    assert (phantom.lungs <= phantom.thorax).all() and 0.15 < phantom.lungs.mean() < phantom.thorax.mean() < 0.6
    pieces = np.bincount(ndimage.label(phantom.thorax)[0].ravel())[1:]
    assert pieces.max() > 0.995 * pieces.sum()
    assert phantom.sex in "MF" and phantom.view in ("PA", "AP") and 0 < phantom.age < 120


@pytest.mark.parametrize("seed", SEEDS)
def test_lungs_are_darker_than_the_mediastinum(seed: int) -> None:
    phantom = chest_phantom(seed, SIZE, [])
    assert phantom.image[phantom.lungs].mean() + 0.2 < phantom.image[phantom.thorax & ~phantom.lungs].mean()


def test_the_same_arguments_give_the_same_bits_and_other_seeds_another_film() -> None:
    first, again, other = chest_phantom(3, SIZE), chest_phantom(3, SIZE), chest_phantom(4, SIZE)
    assert first.image.tobytes() == again.image.tobytes() and first.findings == again.findings
    assert (first.thorax == again.thorax).all()
    assert np.abs(first.image - other.image).mean() > 0.01


@pytest.mark.parametrize("finding", [None, *FINDINGS])
def test_every_size_shows_the_same_patient(finding: str | None) -> None:
    findings = [finding] if finding else []
    small, large = chest_phantom(7, 96, findings), chest_phantom(7, 384, findings)
    shrunk = large.image.reshape(96, 4, 96, 4).mean(axis=(1, 3))
    assert np.corrcoef(small.image.ravel(), shrunk.ravel())[0, 1] > 0.99
    assert (small.thorax == (large.thorax.reshape(96, 4, 96, 4).mean(axis=(1, 3)) > 0.5)).mean() > 0.99
    assert (small.age, small.sex, small.view) == (large.age, large.sex, large.view)


def test_another_film_of_a_patient_is_positioned_anew() -> None:
    first, second = chest_phantom(5, SIZE, [], film=0), chest_phantom(5, SIZE, [], film=1)
    assert (first.age, first.sex) == (second.age, second.sex)
    assert (first.thorax != second.thorax).any()


def test_about_half_of_the_films_are_normal() -> None:
    films = [chest_phantom(seed, 32).findings for seed in range(60)]
    assert 18 <= sum(findings == () for findings in films) <= 42
    assert set().union(*films) == set(FINDINGS)


@pytest.mark.parametrize("finding", FINDINGS)
def test_every_finding_changes_the_chest_and_not_the_arms(finding: str) -> None:
    normal, ill = chest_phantom(2, SIZE, []), chest_phantom(2, SIZE, [finding])
    change = np.abs(ill.image - normal.image)
    around = ndimage.binary_dilation(normal.thorax | ill.thorax, iterations=3)
    assert ill.findings == (finding,)
    assert change[around].max() > 0.08
    assert change[~around].mean() < 0.25 * change[around].mean()


@pytest.mark.parametrize("seed", SEEDS)
def test_cardiomegaly_widens_the_heart(seed: int) -> None:
    assert heart_width(chest_phantom(seed, SIZE, ["Cardiomegaly"])) > 1.1 * heart_width(chest_phantom(seed, SIZE, []))


@pytest.mark.parametrize("seed", SEEDS)
def test_effusion_whitens_one_costophrenic_angle(seed: int) -> None:
    changes = []
    for field in fields(chest_phantom(seed, SIZE, [])):
        rows = np.nonzero(field)[0]
        changes.append(mean_change(seed, "Effusion", field & (np.arange(SIZE)[:, None] > np.quantile(rows, 0.93))))
    assert max(changes) > 0.1
    assert abs(min(changes)) < 0.03


@pytest.mark.parametrize("seed", SEEDS)
def test_pneumothorax_darkens_the_rim_of_one_lung(seed: int) -> None:
    changes = []
    for field in fields(chest_phantom(seed, SIZE, [])):
        upper = field & (np.arange(SIZE)[:, None] < np.quantile(np.nonzero(field)[0], 0.3))
        rim = upper & ~ndimage.binary_erosion(ndimage.binary_fill_holes(field), iterations=4)
        changes.append(mean_change(seed, "Pneumothorax", rim))
    assert min(changes) < -0.02
    assert abs(max(changes)) < 0.02


@pytest.mark.parametrize("finding", ["Mass", "Nodule", "Consolidation", "Infiltration"])
def test_opacities_brighten_the_lungs(finding: str) -> None:
    lungs = chest_phantom(1, SIZE, []).lungs
    assert mean_change(1, finding, lungs) > 0.0005


def test_atelectasis_shrinks_the_lungs() -> None:
    assert chest_phantom(1, SIZE, ["Atelectasis"]).lungs.sum() < 0.97 * chest_phantom(1, SIZE, []).lungs.sum()


def test_what_the_phantom_cannot_do_is_named() -> None:
    with pytest.raises(UserError, match="cannot show Hernia; choose from Atelectasis, .*Pneumothorax"):
        chest_phantom(0, SIZE, ["Mass", "Hernia"])
    with pytest.raises(UserError, match="size must be at least 32 pixels, got 16"):
        chest_phantom(0, 16)
    with pytest.raises(UserError, match="must not be negative"):
        chest_phantom(-1, SIZE)
