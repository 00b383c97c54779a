from __future__ import annotations

import matplotlib.figure
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.integrate import trapezoid
from scipy.special import expit

from monai_mae_ext.figures_classification import save_reliability_diagram, save_roc_curves, save_saliency
from monai_mae_ext.metrics import roc_auc

NAMES = [f"finding {number}" for number in range(14)]


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


@pytest.fixture
def films():
    """Logits and labels ``(400, 14)``; the last class has no positives."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(400, 14)) * np.linspace(0.5, 2, 14) - 2
    labels = (random.random(logits.shape) < expit(logits)).astype(int)
    labels[:, -1] = 0
    return logits, labels


def test_a_roc_curve_for_each_scorable_class_the_best_first(tmp_path, figure, films):
    path = tmp_path / "new" / "roc.png"
    save_roc_curves(*films, NAMES, path)
    assert Image.open(path).format == "PNG"
    assert [file.name for file in path.parent.iterdir()] == ["roc.png"]
    (drawn,) = figure
    texts = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert texts[-1] == "0.500  chance"
    aucs = [float(text.split()[0]) for text in texts[:-1]]
    assert len(aucs) == 13 and aucs == sorted(aucs, reverse=True)
    assert "finding 13" in drawn.get_supxlabel()
    *curves, chance = drawn.axes[0].lines
    assert len({(line.get_color(), line.get_linestyle()) for line in curves}) == 13
    for line in curves:
        number = NAMES.index(line.get_label().split("  ")[1])
        x, y = line.get_data()
        assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
        assert trapezoid(y, x) == pytest.approx(roc_auc(films[0][:, number], films[1][:, number]))


def test_no_caption_when_all_are_scored_and_no_curve_when_none_is(tmp_path, figure, films):
    logits, labels = films
    save_roc_curves(logits[:, :2], labels[:, :2], NAMES[:2], tmp_path / "a.png")
    save_roc_curves(logits[:, :2], labels[:, :2] * 0, NAMES[:2], tmp_path / "b.png")
    assert figure[0].get_supxlabel() == ""
    assert len(figure[1].axes[0].lines) == 1
    assert "finding 0, finding 1" in figure[1].get_supxlabel()


def test_the_reliability_diagram_shows_both_calibrations_and_where_the_probabilities_lie(tmp_path, figure, films):
    logits, labels = films
    save_reliability_diagram(expit(3 * logits), expit(logits), labels, tmp_path / "reliability.png")
    assert Image.open(tmp_path / "reliability.png").format == "PNG"
    top, bottom = figure[0].axes
    perfect, before, after = top.lines
    assert [text.get_text().split(", ECE")[0] for text in top.get_legend().get_texts()] == [
        "perfect",
        "before",
        "after",
    ]
    errors = [float(line.get_label().split()[-1]) for line in (before, after)]
    assert errors[0] > 2 * errors[1]
    for line in (before, after):
        assert len(line.get_xdata()) == 15
        assert max(*line.get_xdata(), *line.get_ydata()) < top.get_xlim()[1] == top.get_ylim()[1]
    assert bottom.get_xlim() == (0, 1) and len(bottom.patches) == 2


def test_saliency_is_red_where_a_token_speaks_for_the_finding_and_blue_where_against(tmp_path, figure):
    relevance = torch.zeros(4, 4)
    relevance[0, 0], relevance[3, 3] = 2, -1
    save_saliency(tmp_path / "saliency.png", torch.rand(64, 96), relevance, "Mass 83 %")
    (drawn,) = figure
    film, overlaid = drawn.axes[:2]
    assert overlaid.get_title() == "Mass 83 %" and film.images[0].get_extent() == overlaid.images[1].get_extent()
    shown = overlaid.images[1]
    colours = shown.to_rgba(shown.get_array())
    assert shown.get_clim() == (-2, 2)
    assert colours[0, 0, 0] > colours[0, 0, 2] + 0.2 and colours[3, 3, 2] > colours[3, 3, 0] + 0.2
