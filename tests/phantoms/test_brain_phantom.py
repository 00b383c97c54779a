from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion, center_of_mass, label

from monai_mae_ext.errors import UserError
from monai_mae_ext.phantoms import MODALITIES, BrainPhantom, brain_phantom
from monai_mae_ext.phantoms.brain_anatomy import paint_brain
from monai_mae_ext.phantoms.brain_phantom import SIGNALS
from monai_mae_ext.phantoms.brain_tissues import HIGH, LOW, TISSUES, Brain, cloud
from monai_mae_ext.phantoms.shapes import Canvas

COARSE = (4.0, 4.0, 4.0)
FINE = (2.5, 2.5, 2.5)
OEDEMA, CORE, ENHANCING = 1, 2, 3


@pytest.fixture(scope="module")
def patients() -> list[BrainPhantom]:
    return [brain_phantom(seed, COARSE) for seed in range(12)]


@pytest.fixture(scope="module", params=[1, 14, 23])
def large(request: pytest.FixtureRequest) -> BrainPhantom:
    """A patient whose tumour is large enough for all its parts to be measured."""
    return brain_phantom(request.param, FINE)


def millilitres(phantom: BrainPhantom, mask: np.ndarray) -> float:
    return mask.sum() * abs(np.linalg.det(phantom.affine)) / 1000


def medians_of_parts(phantom: BrainPhantom, modality: str) -> dict[str, float]:
    """Medians of the tumour's parts, in units of healthy white matter, which is what is brightest in T1w."""
    channel, t1 = (phantom.image[MODALITIES.index(name)] for name in (modality, "T1w"))
    healthy = (t1 > 0) & (phantom.label == 0)
    white = np.median(channel[healthy & (t1 > np.quantile(t1[healthy], 0.7))])
    parts = {"oedema": OEDEMA, "core": CORE, "enhancing": ENHANCING}
    return {name: np.median(channel[phantom.label == number]) / white for name, number in parts.items()}


def test_volumes_are_plausible(patients: list[BrainPhantom]) -> None:
    for phantom in patients:
        assert 1100 < millilitres(phantom, phantom.image[0] > 0) < 1600
        assert 1 < millilitres(phantom, phantom.label > 0) < 150
    totals = [millilitres(phantom, phantom.label > 0) for phantom in patients]
    assert max(totals) > 5 * min(totals)


def test_it_is_whole_numbers_inside_the_brain_and_zero_outside(patients: list[BrainPhantom]) -> None:
    for phantom in patients:
        assert phantom.image.shape == (4, *phantom.label.shape) and phantom.image.dtype == np.float32
        assert phantom.label.dtype == np.uint8 and phantom.label.max() <= 3
        assert np.array_equal(phantom.image, np.round(phantom.image)) and phantom.image.max() < 2**15
        brains = phantom.image > 0
        assert phantom.image.min() == 0 and (brains == brains[0]).all()
        pieces, _ = label(brains[0])
        assert np.bincount(pieces.ravel())[1:].max() == brains[0].sum()
        rim = np.ones_like(brains[0])
        rim[1:-1, 1:-1, 1:-1] = False
        assert not brains[0][rim].any(), "the brain is cut off by the field of view"


def test_the_tumour_lies_inside_the_brain(patients: list[BrainPhantom]) -> None:
    for phantom in patients:
        brain = phantom.image[0] > 0
        tumour = phantom.label > 0
        assert not (tumour & ~brain).any()
        assert (tumour & binary_erosion(brain)).sum() > 0.95 * tumour.sum()


def test_some_patients_have_no_enhancing_tumour(patients: list[BrainPhantom]) -> None:
    without = [not (phantom.label == ENHANCING).any() for phantom in patients]
    assert 1 <= sum(without) <= 5
    assert all((phantom.label == part).any() for phantom in patients for part in (OEDEMA, CORE))


def test_the_shell_surrounds_the_core_and_oedema_both(large: BrainPhantom) -> None:
    core, tumour = large.label == CORE, large.label > 0
    around_core = binary_dilation(core) & ~core
    assert (large.label[around_core] == ENHANCING).mean() > 0.9
    solid = large.label >= CORE
    around_solid = binary_dilation(solid) & ~solid
    assert (large.label[around_solid] == OEDEMA).mean() > 0.3
    assert (tumour[around_core]).mean() > 0.95


def test_contrasts_of_healthy_tissue_are_those_of_the_sequences() -> None:
    rng = np.random.default_rng(5)
    brain = Brain(Canvas(LOW, HIGH, COARSE, rng), rng)
    paint_brain(brain)
    np.testing.assert_allclose(brain.shares.sum(0), 1, atol=1e-5)
    shares = {tissue: millilitres_of(brain, tissue) for tissue in ("grey", "white", "csf")}
    assert 0.5 < shares["white"] / shares["grey"] < 1.6
    assert 100 < shares["csf"] < 500
    flair, t1, t1gd, t2 = ({tissue: SIGNALS[tissue][channel] for tissue in TISSUES} for channel in range(4))
    for weighted in (t1, t1gd):
        assert weighted["white"] > weighted["grey"] > weighted["csf"]
    assert t2["csf"] > t2["grey"] > t2["white"]
    assert flair["grey"] > flair["white"] > flair["csf"]


def millilitres_of(brain: Brain, tissue: str) -> float:
    return float((brain.share(tissue) * brain.mask).sum() * np.prod(COARSE) / 1000)


def test_images_show_these_contrasts() -> None:
    """Fluid is what is brightest in T2w deep in the brain, white matter what is bright in T1w."""
    phantom = brain_phantom(0, FINE)
    flair, t1, _, t2 = phantom.image
    inside = binary_erosion(phantom.image[0] > 0, iterations=8) & ~binary_dilation(phantom.label > 0, iterations=2)
    fluid = inside & (t2 > 0.85 * np.quantile(t2[inside], 0.995))
    white = inside & (t1 > np.quantile(t1[inside], 0.6))
    assert np.median(t2[fluid]) > 1.5 * np.median(t2[white])
    assert np.median(t1[fluid]) < 0.6 * np.median(t1[white])
    assert np.median(flair[fluid]) < 0.6 * np.median(flair[white])


def test_each_sequence_shows_what_the_others_do_not(large: BrainPhantom) -> None:
    flair, t1, t1gd, t2 = (medians_of_parts(large, modality) for modality in MODALITIES)
    assert t1gd["enhancing"] > 1.3 and t1gd["enhancing"] > 1.6 * t1gd["oedema"]
    for others in (flair, t1, t2):
        assert others["enhancing"] == pytest.approx(others["oedema"], rel=0.2)
    assert flair["oedema"] > 1.5 and t2["oedema"] > 1.5 and 0.6 < t1["oedema"] < 0.95
    assert flair["core"] < 0.85 * flair["oedema"]
    assert t1["core"] < 0.65 and t1gd["core"] < 0.65 and t2["core"] > 1.7


def test_spacing_changes_the_sampling_and_not_the_patient() -> None:
    coarse, fine = brain_phantom(14, (4, 4, 5)), brain_phantom(14, FINE)
    for part in (lambda p: p.image[0] > 0, lambda p: p.label > 0, lambda p: p.label >= CORE):
        volumes = [millilitres(phantom, part(phantom)) for phantom in (coarse, fine)]
        assert volumes[0] == pytest.approx(volumes[1], rel=0.08)
        centres = [p.affine[:3, :3] @ center_of_mass(part(p)) + p.affine[:3, 3] for p in (coarse, fine)]
        np.testing.assert_allclose(*centres, atol=2)
    medians = [[np.median(channel[channel > 0]) for channel in phantom.image] for phantom in (coarse, fine)]
    np.testing.assert_allclose(*medians, rtol=0.08)


def test_noise_of_a_size_is_the_same_at_every_spacing() -> None:
    canvases = [Canvas(LOW, HIGH, (step,) * 3, np.random.default_rng(0)) for step in (4.0, 8.0)]
    fine, coarse = (cloud(canvas, np.random.default_rng(1), 9.0) for canvas in canvases)
    every_other = fine[::2, ::2, ::2]
    common = tuple(slice(min(sides)) for sides in zip(every_other.shape, coarse.shape, strict=True))
    np.testing.assert_allclose(every_other[common], coarse[common], atol=1e-4)
    assert abs(fine.mean()) < 0.2 and fine.std() == pytest.approx(1, abs=0.15)


def test_a_seed_is_a_patient(patients: list[BrainPhantom]) -> None:
    again = brain_phantom(4, COARSE)
    assert np.array_equal(patients[4].image, again.image) and np.array_equal(patients[4].label, again.label)
    assert ((patients[4].image[0] > 0) != (patients[5].image[0] > 0)).mean() > 0.01
    gains = np.array([np.median(channel[channel > 0]) for phantom in patients for channel in phantom.image])
    assert gains.max() > 5 * gains.min()


@pytest.mark.parametrize("arguments", [(-1, COARSE), (0, (0.1, 1, 1)), (0, (1, 1, 20))])
def test_arguments_out_of_range_are_refused(arguments: tuple) -> None:
    with pytest.raises(UserError, match=r"seed is at least 0 and spacing from 0.5 to 10 mm"):
        brain_phantom(*arguments)
