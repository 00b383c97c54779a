"""Reports of phantoms say what the films show."""

from __future__ import annotations

import json

import numpy as np
import pandas
import pytest

from monai_mae_ext.phantoms import write_chest_phantoms
from monai_mae_ext.phantoms.chest_findings import FINDINGS
from monai_mae_ext.phantoms.chest_phantom import chest_phantom
from monai_mae_ext.phantoms.chest_report import phantom_report
from monai_mae_ext.reports import MENTIONED, find_mentions


def test_every_finding_is_mentioned_and_no_other():
    films = [chest_phantom(seed, 32) for seed in range(60)]
    films += [chest_phantom(seed, 32, [name]) for seed, name in enumerate(FINDINGS)]
    for number, film in enumerate(films):
        for choice in range(5):
            report = phantom_report(film.lesions, film.view, np.random.default_rng([number, choice]))
            said = {name for name, found in zip(MENTIONED, find_mentions(report), strict=True) if found}
            assert said == set(film.findings), report
            assert report.startswith(("Portable AP", "AP view")) == (film.view == "AP")


@pytest.mark.parametrize("name", ["Effusion", "Pneumothorax", "Mass", "Consolidation", "Atelectasis", "Nodule"])
def test_the_side_is_where_the_film_differs(name):
    for seed in range(6):
        ill, well = chest_phantom(seed, 128, [name]), chest_phantom(seed, 128, [])
        (lesion,) = ill.lesions
        changed = np.abs(ill.image - well.image) * well.lungs
        half = changed.shape[1] // 2
        brighter_half = "right" if changed[:, :half].sum() > changed[:, half:].sum() else "left"
        assert lesion.finding == name and lesion.side == brighter_half  # the patient's right is on the film's left


def test_zones_and_sizes_follow_what_is_drawn():
    zones = {"upper": [], "middle": [], "lower": []}
    sizes = {"small": [], "moderate": [], "large": []}
    for seed in range(40):
        mass, well = chest_phantom(seed, 96, ["Mass"]), chest_phantom(seed, 96, [])
        rows = (np.abs(mass.image - well.image) * well.lungs).sum(1)
        zones[mass.lesions[0].zone].append((rows * np.arange(96)).sum() / rows.sum())
        fluid = chest_phantom(seed, 96, ["Effusion"])
        sizes[fluid.lesions[0].size].append((np.abs(fluid.image - well.image) * well.lungs).sum())
    assert all(len(found) > 3 for found in (*zones.values(), *sizes.values()))
    for ordered in (zones, sizes):
        means = [np.mean(found) for found in ordered.values()]
        assert means == sorted(means)


def test_a_data_set_has_a_report_for_every_film(tmp_path):
    folder = write_chest_phantoms(tmp_path, n_films=30, size=32, seed=3)
    entries = [entry for section in json.loads((folder / "annotation.json").read_text()).values() for entry in section]
    table = pandas.read_csv(folder / "Data_Entry_2017.csv").set_index("Image Index")
    assert sorted(entry["image_path"][0] for entry in entries) == sorted(table.index)
    for entry in entries:
        findings = set(table.loc[entry["image_path"][0], "Finding Labels"].split("|")) - {"No Finding"}
        assert findings == {n for n, found in zip(MENTIONED, find_mentions(entry["report"]), strict=True) if found}
