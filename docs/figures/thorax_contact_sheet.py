"""Draw the thorax contours of films spread over a data set: python docs/figures/thorax_contact_sheet.py DATASET_DIR."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from monai_mae_ext.data import radiograph_datalist, read_radiograph
from monai_mae_ext.files import atomic_write
from monai_mae_ext.transforms import ThoraxRegion

OUT = Path(__file__).parents[1] / "images" / "thorax_regions.png"
CAPTION = "Green: contour found. Orange: central box, where none was. Films: NIH Clinical Center, ChestX-ray14."
ROWS, COLUMNS = 4, 6


def main(dataset_dir: str) -> None:
    torch.set_num_threads(1)
    films = [item["image"] for item in radiograph_datalist(dataset_dir, "all")]
    shown = {films[i] for i in np.linspace(0, len(films) - 1, ROWS * COLUMNS).astype(int)}
    region = ThoraxRegion("classical")
    figure = Figure(figsize=(2.5 * COLUMNS, 2.6 * ROWS + 0.4), dpi=80, layout="constrained")
    axes = iter(figure.subplots(ROWS, COLUMNS, squeeze=False).flat)
    found, seconds = 0, 0.0
    for path in films:
        film = read_radiograph(path)[0]
        start = time.process_time()
        mask = region(torch.from_numpy(film)[None])
        seconds += time.process_time() - start
        is_found = mask.meta["thorax_region"] == "contour"
        found += is_found
        if path in shown:
            axis = next(axes)
            axis.imshow(film, cmap="gray")
            axis.contour(mask[0].numpy(), [0.5], colors="lime" if is_found else "orange", linewidths=1.5)
            axis.set_title(Path(path).stem, fontsize=9)
            axis.set_axis_off()
    figure.supxlabel(CAPTION, fontsize=10)
    with atomic_write(OUT) as temporary:
        figure.savefig(temporary, pil_kwargs={"optimize": True})
    print(f"{found} of {len(films)} films have a contour, {seconds / len(films):.3f} s of processor a film; {OUT}")


if __name__ == "__main__":
    main(*sys.argv[1:])
