"""Handlers that write for people: history, panels, saved reconstructions, score tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from monai.handlers import IgniteMetricHandler, from_engine
from PIL import Image

from monai_mae_ext.handlers import (
    AtomicCheckpoint,
    History,
    ReconstructionPanel,
    SaveReconstructions,
    ScoreTable,
    history,
    pace,
)
from monai_mae_ext.handlers.history import read_history
from monai_mae_ext.handlers.picture_path import picture_path
from monai_mae_ext.metrics import ReconstructionMetric


def test_history_goes_on_behind_the_resumed_epoch(make_trainer, tmp_path: Path) -> None:
    def handlers(network, optimizer, dataset):
        return [History(tmp_path), AtomicCheckpoint(tmp_path, network, optimizer)]

    make_trainer(handlers, epochs=2).run()
    table = tmp_path / "history.csv"
    table.write_text(table.read_text() + "3,9.9,0.5\n")
    make_trainer(handlers, epochs=4).run()
    rows = read_history(table)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert all(row["lr"] == 1e-3 and row["seconds"] > 0 for row in rows)
    assert (tmp_path / "learning_curves.png").is_file()


def test_the_row_of_an_epoch_is_there_when_its_checkpoint_is(make_trainer, tmp_path: Path) -> None:
    class Killed(AtomicCheckpoint):
        def save(self, engine):
            super().save(engine)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_trainer(lambda net, opt, _: [History(tmp_path), Killed(tmp_path, net, opt)], epochs=2).run()
    assert [row["epoch"] for row in read_history(tmp_path / "history.csv")] == [1]


def test_curves_are_drawn_when_it_is_due_and_at_the_end(make_trainer, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(pace, "SHARE", 1e-9)
    drawn = []
    monkeypatch.setattr(history, "save_learning_curves", lambda rows, path: drawn.append(len(rows)))
    make_trainer(lambda *_: [History(tmp_path)], epochs=4).run()
    assert drawn == [1, 4] and len(read_history(tmp_path / "history.csv")) == 4
    make_trainer(lambda *_: [History(tmp_path / "short")], epochs=1).run()
    assert drawn == [1, 4, 1], "not twice"


def test_a_fresh_run_does_not_inherit_an_old_table(make_trainer, tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("epoch,lr\n1,5\n")
    make_trainer(lambda *_: [History(tmp_path)], epochs=1).run()
    assert read_history(tmp_path / "history.csv")[0]["lr"] == 1e-3


def test_one_panel_a_validation(make_evaluator, tmp_path: Path) -> None:
    evaluator = make_evaluator([ReconstructionPanel(tmp_path, 4, "nothing", n_images=2)])
    evaluator.run(7)
    evaluator.run(8)
    assert sorted(path.name for path in (tmp_path / "panels").iterdir()) == ["epoch_0007.png", "epoch_0008.png"]
    assert np.asarray(Image.open(tmp_path / "panels" / "epoch_0007.png").convert("L")).std() > 10


def test_saved_reconstructions_keep_the_visible_pixels(make_evaluator, tmp_path: Path) -> None:
    evaluator = make_evaluator([SaveReconstructions(tmp_path, "folder", 4, "nothing")])
    evaluator.run()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted([f"film{i}_{kind}.png" for i in range(8) for kind in ("panel", "reconstruction")])
    saved = np.asarray(Image.open(tmp_path / "film7_reconstruction.png")).astype(float) / 255
    reference = evaluator.state.output["reference"]
    token = int(reference["visible"][1, 0])
    top, left = 4 * (token // 4), 4 * (token % 4)
    truth = reference["image"][1, 0, top : top + 4, left : left + 4].numpy()
    assert np.abs(saved[top : top + 4, left : left + 4] - truth).max() <= 0.5 / 255 + 1e-6


def test_pictures_are_named_after_their_films(tmp_path: Path) -> None:
    def name(source: str) -> str:
        return picture_path(Path("out"), str(tmp_path / source), tmp_path, "panel").relative_to("out").as_posix()

    assert name("a/film.v2.dcm") == "a/film.v2_panel.png"
    assert name("1.2.840.17") == "1.2.840.17_panel.png", "1.2.840.18 is another film"
    for film in ("one.dcm", "one.png", "two.PNG"):
        (tmp_path / film).touch()
    assert [name("one.dcm"), name("one.png")] == ["one.dcm_panel.png", "one.png_panel.png"], "neither is overwritten"
    assert name("two.PNG") == "two_panel.png"


def test_scores_come_as_a_summary_and_a_row_an_image(make_evaluator, tmp_path: Path) -> None:
    metric = {
        "psnr_hidden": IgniteMetricHandler(
            ReconstructionMetric("psnr", "hidden", 4), output_transform=from_engine(["reconstruction", "reference"])
        )
    }
    make_evaluator([ScoreTable(tmp_path, "folder")], key_val_metric=metric).run()
    summary = json.loads((tmp_path / "evaluation.json").read_text())
    rows = list(csv.DictReader((tmp_path / "per_image.csv").open()))
    assert summary["images"] == 8
    assert [row["image"] for row in rows] == [f"film{index}.png" for index in range(8)]
    assert np.mean([float(row["psnr_hidden"]) for row in rows]) == pytest.approx(summary["psnr_hidden"], rel=1e-5)
