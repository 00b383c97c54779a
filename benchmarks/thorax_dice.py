"""Agreement of thorax contours with the exact masks of 200 varied phantoms, and the time a film takes on one core.

Run from the top of the repository: python -m benchmarks.thorax_dice
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import fire
import numpy as np
import torch

from monai_mae_ext.phantoms import chest_phantom
from monai_mae_ext.transforms import ThoraxRegion
from monai_mae_ext.transforms.thorax_contour import find_thorax
from tests.transforms.test_thorax_contour import VARIATIONS, dice, varied


def main(n_films: int = 200, size: int = 256, seed: int = 9000) -> None:
    """Print the Dice coefficients of each kind of variation and of all, as a table."""
    scores, fallbacks = np.zeros(n_films), 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(n_films):
            film, thorax = varied(seed + number, Path(folder), size)
            mask, status = find_thorax(film)
            scores[number] = dice(mask, thorax)
            fallbacks += status != "contour"
    kinds = (seed + np.arange(n_films)) % len(VARIATIONS)
    print("| phantoms | mean Dice | least |\n| --- | --- | --- |")
    for number, kind in enumerate(VARIATIONS):
        print(f"| {kind} | {scores[kinds == number].mean():.3f} | {scores[kinds == number].min():.3f} |")
    print(f"| all {n_films} | {scores.mean():.3f} | {scores.min():.3f} |")
    print(f"the box instead of a contour: {fallbacks}; {seconds_a_film(1024):.2f} s a film of 1024 pixels on one core")


def seconds_a_film(size: int, repeats: int = 10) -> float:
    """Mean time of ``ThoraxRegion``."""
    torch.set_num_threads(1)
    film, region = torch.as_tensor(chest_phantom(3, size).image)[None], ThoraxRegion()
    started = time.process_time()
    for _ in range(repeats):
        region(film)
    return (time.process_time() - started) / repeats


if __name__ == "__main__":
    fire.Fire(main)
