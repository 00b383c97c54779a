from __future__ import annotations

import matplotlib.figure
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from monai_mae_ext.figures import HIDDEN_COLOUR, plot_of, save_learning_curves, save_panel
from monai_mae_ext.transforms import mask_image


@pytest.fixture
def figure(monkeypatch):
    """The figure that is saved, to be looked into."""
    saved = []
    save = matplotlib.figure.Figure.savefig
    monkeypatch.setattr(
        matplotlib.figure.Figure,
        "savefig",
        lambda self, *args, **kwargs: saved.append(self) or save(self, *args, **kwargs),
    )
    return saved


@pytest.mark.parametrize("size", [(16, 24), (8, 12, 6)])
def test_a_panel_shows_input_mask_reconstruction_and_signed_error(tmp_path, figure, size):
    image = torch.rand(2, 1, *size)
    reconstruction = (image + 0.25).clamp(max=1)
    visible = torch.tensor([[0, 3], [1, 2]])
    path = tmp_path / "new" / "panel.png"
    save_panel(
        path, reconstruction, {"image": image, "visible": visible}, 4 if len(size) == 2 else (4, 4, 6), "from where"
    )
    assert Image.open(path).format == "PNG"
    assert [file.name for file in path.parent.iterdir()] == ["panel.png"]

    (drawn,) = figure
    assert drawn.get_supxlabel() == "from where"
    rows = [axis.images[0].get_array() for axis in drawn.axes[:8]]
    middle = (slice(None), slice(None), *([3] if len(size) == 3 else []))
    for row in range(2):
        truth, guess = (item[row, 0][middle].numpy() for item in (image, reconstruction))
        shown, masked, picture, error = rows[4 * row : 4 * row + 4]
        np.testing.assert_allclose(shown, truth)
        np.testing.assert_allclose(picture, guess)
        np.testing.assert_allclose(error, guess - truth)
        seen = mask_image(visible, size, 4 if len(size) == 2 else (4, 4, 6))[row, 0][middle].numpy()
        np.testing.assert_allclose(masked[seen], truth[seen][:, None].repeat(3, 1), atol=1e-6)
        np.testing.assert_allclose(masked[~seen], np.broadcast_to(HIDDEN_COLOUR, masked[~seen].shape))
    assert drawn.axes[3].images[0].get_clim() == (-0.5, 0.5)


def test_a_panel_of_one_image_in_other_units(tmp_path, figure):
    image = torch.full((1, 1, 8, 8), 50.0)
    save_panel(tmp_path / "p.png", image, {"image": image, "visible": torch.tensor([[0]])}, 4, "", (-100.0, 100.0))
    assert figure[0].axes[0].images[0].get_clim() == (-100, 100)
    np.testing.assert_allclose(figure[0].axes[1].images[0].get_array()[0, 0], 0.75)


def test_learning_curves_have_one_plot_a_kind_of_metric_and_no_empty_frames(tmp_path, figure):
    rows = [
        {"epoch": 1, "seconds": 3.0, "train_loss": 1.0},
        {
            "epoch": 2,
            "seconds": 3.0,
            "train_loss": 0.8,
            "val_loss": 0.9,
            "val_psnr_hidden": 20.0,
            "lr": 0.1,
            "rank": 3.0,
        },
        {"epoch": 3, "seconds": 3.0, "train_loss": 0.7, "val_loss": float("nan"), "val_psnr_hidden": 21.0, "lr": 0.2},
    ]
    save_learning_curves(rows, tmp_path / "curves.png")
    assert Image.open(tmp_path / "curves.png").format == "PNG"
    plots = [axis for axis in figure[0].axes if axis.axison]
    assert [axis.get_title() for axis in plots] == ["loss", "psnr", "lr", "rank"]
    lines = {line.get_label(): line.get_xydata().tolist() for line in plots[0].lines}
    assert lines["train_loss"] == [[1, 1.0], [2, 0.8], [3, 0.7]]
    assert lines["val_loss"][0] == [2, 0.9]
    assert len({to_rgb(line.get_color()) for line in plots[0].lines}) == 2


@pytest.mark.parametrize(
    ("name", "plot"), [("val_loss", "loss"), ("psnr_image_mean_fill", "psnr"), ("rank_random", "rank"), ("lr", "lr")]
)
def test_metrics_of_one_kind_share_a_plot(name, plot):
    assert plot_of(name) == plot
