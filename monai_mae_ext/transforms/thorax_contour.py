"""Find the thorax on a chest film without a learned network: dark lungs in a bright body, and their convex hull."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy import ndimage
from skimage.exposure import equalize_adapthist
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops
from skimage.morphology import convex_hull_image, disk, isotropic_closing, isotropic_erosion, isotropic_opening
from skimage.segmentation import clear_border
from skimage.transform import resize

__all__ = ["central_box", "find_thorax"]

SIDE = 256  # the film is searched at this size; lengths below are in its pixels
FLAT = 0.03  # a border's grey varies by less, as a share of the film's range
UNEQUAL = 0.7  # a lung smaller than this share of the other is thought to be seen in part only
PAIR_QUANTILES = np.linspace(0.5, 0.25, 6)  # of the grey inside the body: thresholds below which it may be lung
SINGLE_QUANTILES = (0.2, 0.15)  # tried too where only one lung holds air
HALF_DISK = disk(6) * (np.arange(13) <= 6)[:, None]  # grows a mask upwards and sideways


def find_thorax(film: np.ndarray, gate: float = 0.5) -> tuple[np.ndarray, str]:
    """Return the mask of the thorax, from the apices to the domes, and how it was found.

    The lungs are dark regions inside the body, away from the film's edge; thresholds are tried and the best pair is
    kept. Of one lung without an equal the mirror image is added, about the middle of the body (white-out, effusion).
    The thorax is their convex hull, grown a little upwards and sideways: downwards it lies below the domes already.

    Args:
        film: (H, W), air dark, of any range; about 256 pixels on each side are enough.
        gate: Dice coefficient with the central box below which the hull is not believed.

    Returns:
        The mask, bool (H, W), and "contour"; or the central box of the film inside its borders, and "fallback: REASON".
    """
    frame = inside_borders(film)
    mask = np.zeros(film.shape, dtype=bool)
    found, status = find_in_frame(resize(film[frame].astype(float), (SIDE, SIDE), order=1), gate)
    mask[frame] = resize(found.astype(float), film[frame].shape, order=1) > 0.5
    return mask, status


def central_box(height: int, width: int) -> np.ndarray:
    """Mask (height, width) of the box where a thorax usually is: .15 to .85 of the height, .12 to .88 of the width."""
    box = np.zeros((height, width), dtype=bool)
    box[round(0.15 * height) : round(0.85 * height), round(0.12 * width) : round(0.88 * width)] = True
    return box


def inside_borders(film: np.ndarray) -> tuple[slice, slice]:
    """Where the film is, without the flat rows and columns at its edges; all of a film that is flat altogether."""
    frame = []
    for across in (1, 0):
        busy = np.flatnonzero(np.ptp(film, axis=across) > FLAT * np.ptp(film))
        frame.append(slice(busy[0], busy[-1] + 1) if busy.size else slice(None))
    return frame[0], frame[1]


def find_in_frame(film: np.ndarray, gate: float) -> tuple[np.ndarray, str]:
    """``find_thorax`` on a film of (SIDE, SIDE) without borders."""
    box = central_box(SIDE, SIDE)
    film = ndimage.gaussian_filter(film, 2)
    low, high = np.percentile(film, (1, 99))
    if low == high:
        return box, "fallback: the film is blank"
    lungs = find_lungs(np.clip((film - low) / (high - low), 0, 1))
    if lungs is None:
        return box, "fallback: no lungs found"
    hull = ndimage.binary_dilation(convex_hull_image(lungs), HALF_DISK)
    dice = 2 * (hull & box).sum() / (hull.sum() + box.sum())
    if dice < gate:
        return box, f"fallback: what looks like lungs is too small or off the centre (Dice {dice:.2f} with the box)"
    return hull, "contour"


def find_lungs(film: np.ndarray) -> np.ndarray | None:
    """Mask of both lungs on a film in [0, 1], or None."""
    body = find_body(film)
    film = ndimage.gaussian_filter(equalize_adapthist(film, SIDE // 4, clip_limit=0.02), 2)
    inside, values = isotropic_erosion(body, 3), film[body]
    middle = np.nonzero(body)[1].mean()

    def regions_below(thresholds) -> list[list]:
        return [lung_like(inside & (film < threshold)) for threshold in thresholds]

    found = regions_below([threshold_otsu(values), *np.quantile(values, PAIR_QUANTILES)])
    pairs = [pair for regions in found for pair in combinations(regions, 2) if is_pair(*pair)]
    if pairs:
        pair = max(pairs, key=pair_score)
        lungs, equal = draw(*pair), balance(*pair) >= UNEQUAL
        return lungs if equal else lungs | mirrored(lungs, middle)
    found += regions_below(np.quantile(values, SINGLE_QUANTILES))
    aside = [r for regions in found for r in regions if 0.1 < abs(r.centroid[1] - middle) / SIDE < 0.35]
    if not aside:
        return None
    lung = draw(max(aside, key=lambda region: region.area * region.solidity))
    return lung | mirrored(lung, middle)


def find_body(film: np.ndarray) -> np.ndarray:
    """The largest bright region of a film in [0, 1], with its holes filled: the lungs lie in it."""
    labels = label(film > min(0.5 * threshold_otsu(film), 0.25))
    largest = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    return isotropic_closing(ndimage.binary_fill_holes(largest), 5)


def lung_like(dark: np.ndarray) -> list:
    """Regions of ``dark`` with the size, the shape and the place of a lung."""
    regions = regionprops(label(isotropic_opening(clear_border(dark), 8)))
    return [region for region in regions if is_lung(region)]


def is_lung(region) -> bool:
    top, left, bottom, right = region.bbox
    return (
        region.area > 0.02 * SIDE**2
        and bottom - top > 0.22 * SIDE
        and right - left < 0.55 * SIDE
        and top < 0.4 * SIDE  # else it is stomach or bowel
        and 0.1 * SIDE < region.centroid[1] < 0.9 * SIDE
        and region.solidity > 0.6
    )


def is_pair(one, other) -> bool:
    down, across = np.abs(np.subtract(one.centroid, other.centroid)) / SIDE
    return 0.2 < across < 0.7 and down < 0.2


def balance(one, other) -> float:
    return min(one.area, other.area) / max(one.area, other.area)


def pair_score(pair: tuple) -> float:
    """Large, equal and without bays: lungs, and no leak into the air outside."""
    one, other = pair
    return (one.area + other.area) * balance(one, other) * one.solidity * other.solidity


def draw(*regions) -> np.ndarray:
    """Mask of regions."""
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    for region in regions:
        mask[tuple(region.coords.T)] = True
    return mask


def mirrored(mask: np.ndarray, middle: float) -> np.ndarray:
    """``mask`` with left and right swapped about the column ``middle``."""
    rows, columns = np.nonzero(mask)
    columns = np.round(2 * middle - columns).astype(int)
    within = (columns >= 0) & (columns < SIDE)
    out = np.zeros_like(mask)
    out[rows[within], columns[within]] = True
    return out
