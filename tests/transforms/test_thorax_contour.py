"""The contour against the exact thorax masks of phantoms, varied as films vary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from monai_mae_ext.data import read_radiograph
from monai_mae_ext.phantoms import chest_phantom
from monai_mae_ext.phantoms.chest_dicom import write_phantom_dicom
from monai_mae_ext.transforms.thorax_contour import central_box, find_thorax

VARIATIONS = ("plain", "letterboxed", "rotated", "low contrast", "inverted by tag", "white-out")
SIZE = 192


def varied(seed: int, folder: Path, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Film and thorax mask of a phantom, in the variation that its seed chooses."""
    kind, rng = VARIATIONS[seed % len(VARIATIONS)], np.random.default_rng([seed, 7])
    phantom = chest_phantom(seed, size)
    film, thorax = phantom.image, phantom.thorax
    if kind == "letterboxed":
        border = (rng.uniform(0, 0.25, (2, 2)) * size).astype(int)
        film, thorax = np.pad(film, border, constant_values=float(rng.integers(2))), np.pad(thorax, border)
    elif kind == "rotated":
        angle = rng.uniform(-10, 10)
        film = ndimage.rotate(film, angle, reshape=False, order=1)
        thorax = ndimage.rotate(thorax.astype(float), angle, reshape=False, order=1) > 0.5
    elif kind == "low contrast":
        film = 0.4 + 0.2 * film + rng.normal(0, 0.005, film.shape)
    elif kind == "inverted by tag":
        write_phantom_dicom(folder / "film.dcm", phantom, 1, 0, 400 / size, True)
        film = read_radiograph(folder / "film.dcm")[0]
    elif kind == "white-out":
        lungs, _ = ndimage.label(phantom.lungs)
        largest = 1 + np.argsort(np.bincount(lungs.ravel())[1:])[-2:]
        fluid = ndimage.gaussian_filter((lungs == rng.choice(largest)).astype(np.float32), size / 80)
        film = film + fluid * (rng.uniform(0.7, 0.9) - film)
    return film.astype(np.float32), thorax


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def test_contours_agree_with_the_exact_masks_of_varied_phantoms(tmp_path):
    scores, boxes = [], []
    for seed in range(5000, 5048):
        film, thorax = varied(seed, tmp_path)
        scores.append(dice(find_thorax(film)[0], thorax))
        boxes.append(dice(central_box(*film.shape), thorax))
    assert np.mean(scores) >= 0.9 and min(scores) >= 0.65
    assert np.mean(scores) > np.mean(boxes) + 0.05


def test_flat_borders_do_not_count():
    film = chest_phantom(3, SIZE).image
    mask, status = find_thorax(film)
    framed, framed_status = find_thorax(np.pad(film, ((20, 0), (0, 40))))
    assert status == framed_status == "contour"
    assert dice(np.pad(mask, ((20, 0), (0, 40))), framed) > 0.97


@pytest.mark.parametrize("film", [np.zeros((64, 64)), np.full((40, 90), 0.3)])
def test_a_blank_film_gets_the_box(film):
    mask, status = find_thorax(film)
    assert status == "fallback: the film is blank"
    assert dice(mask, central_box(*film.shape)) > 0.95


@settings(max_examples=15, deadline=None)
@given(
    st.tuples(st.integers(16, 60), st.integers(16, 60)).flatmap(
        lambda s: arrays(np.float32, s, elements=st.floats(0, 1, width=32))
    )
)
def test_any_picture_gets_a_mask(film):
    mask, status = find_thorax(film)
    assert mask.shape == film.shape and mask.dtype == bool and mask.any()
    assert status == "contour" or status.startswith("fallback: ")
