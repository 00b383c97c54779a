from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.metrics import MultiScaleSSIMMetric, SSIMMetric
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from monai_mae_ext.errors import UserError
from monai_mae_ext.metrics import ReconstructionMetric
from monai_mae_ext.metrics.reconstruction import n_scales, psnr, reconstruction_scores, ssim
from monai_mae_ext.transforms import mask_image

HIDDEN = torch.tensor([[0, 3, 5, 6], [1, 2, 4, 7]])


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    image = torch.nn.functional.interpolate(
        torch.rand(2, 1, 6, 12, generator=generator), size=(32, 64), mode="bilinear"
    )
    noise = torch.randn(2, 1, 32, 64, generator=generator) * torch.tensor([0.05, 0.2])[:, None, None, None]
    return (image + noise).clamp(0, 1), image


def reference(image: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"image": image, "hidden": HIDDEN}


def test_psnr_of_whole_images_is_that_of_skimage(pair):
    prediction, image = pair
    scores = ReconstructionMetric("psnr", "image", 16)(prediction, reference(image))
    for score, guess, truth in zip(scores, prediction.numpy(), image.numpy(), strict=True):
        assert score.item() == pytest.approx(peak_signal_noise_ratio(truth, guess, data_range=1.0), abs=1e-4)


def test_psnr_over_the_hidden_voxels_is_that_of_skimage_on_those_voxels(pair):
    prediction, image = pair
    scores = ReconstructionMetric("psnr", "hidden", 16, value_range=2.0)(prediction, reference(image))
    for row, score in enumerate(scores):
        boxes = [
            (slice(16 * (token // 4), 16 * (token // 4 + 1)), slice(16 * (token % 4), 16 * (token % 4 + 1)))
            for token in HIDDEN[row].tolist()
        ]
        guess, truth = (np.stack([item[row, 0].numpy()[box] for box in boxes]) for item in (prediction, image))
        assert score.item() == pytest.approx(peak_signal_noise_ratio(truth, guess, data_range=2.0), abs=1e-4)


def test_ssim_is_that_of_skimage_away_from_the_border(pair):
    prediction, image = pair
    inside = torch.zeros(2, 1, 32, 64, dtype=torch.bool)
    inside[:, :, 6:-6, 6:-6] = True
    for row, score in enumerate(ssim(prediction, image, inside)):
        guess, truth = (item[row, 0].double().numpy() for item in (prediction, image))
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
        _, local = structural_similarity(truth, guess, full=True, **options)
        assert score.item() == pytest.approx(local[6:-6, 6:-6].mean(), abs=1e-4)


def test_ssim_of_volumes_is_close_to_monais_which_leaves_the_border_out():
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(1, 2, 24, 20, 16, generator=generator)
    prediction = (image + 0.1 * torch.randn(image.shape, generator=generator)).clamp(0, 1)
    inside = torch.zeros(1, 1, 24, 20, 16, dtype=torch.bool)
    inside[:, :, 5:-5, 5:-5, 5:-5] = True
    expected = SSIMMetric(3, data_range=1.0, win_size=11, kernel_sigma=1.5)(prediction, image)
    torch.testing.assert_close(ssim(prediction, image, inside), expected[:, 0], atol=1e-5, rtol=0)
    everywhere = ssim(prediction, image, torch.ones_like(inside))
    torch.testing.assert_close(everywhere, expected[:, 0], atol=0.05, rtol=0)


def test_a_perfect_reconstruction():
    image = torch.rand(1, 1, 32, 32)
    everywhere = torch.ones_like(image, dtype=torch.bool)
    assert ssim(image, image, everywhere).item() == pytest.approx(1)
    assert psnr(image, image, everywhere).item() == math.inf


@pytest.mark.parametrize("score", ["psnr", "ssim"])
def test_psnr_and_ssim_over_the_hidden_voxels_read_only_errors_there_or_beside(score, pair):
    prediction, image = pair
    pasted = torch.where(mask_image(HIDDEN, (32, 64), 16), prediction, image)
    hidden, whole = (
        ReconstructionMetric(score, region, 16)(pasted, reference(image)) for region in ("hidden", "image")
    )
    assert (whole > hidden).all()
    if score == "psnr":
        torch.testing.assert_close(hidden, ReconstructionMetric(score, "hidden", 16)(prediction, reference(image)))
        torch.testing.assert_close(whole - hidden, torch.full((2, 1), 10 * math.log10(2)), atol=1e-4, rtol=0)


def test_the_value_is_the_mean_over_images_not_over_batches(pair):
    prediction, image = pair
    metric = ReconstructionMetric("psnr", "hidden", 16)
    first = metric(prediction, reference(image))
    second = metric(prediction[:1], {"image": image[:1], "hidden": HIDDEN[:1]})
    assert first.shape == (2, 1)
    torch.testing.assert_close(metric.aggregate(), torch.cat([first, second]).mean())
    metric.reset()
    metric(prediction[:1], {"image": image[:1], "hidden": HIDDEN[:1]})
    torch.testing.assert_close(metric.aggregate(), first[0, 0])


def test_an_evaluators_scores(pair):
    prediction, image = pair
    output = {"reconstruction": prediction, "mean_fill": torch.zeros_like(image), "reference": reference(image)}
    engine = Engine(lambda engine, batch: output)
    scores = reconstruction_scores({"": "reconstruction", "_mean_fill": "mean_fill"}, 16)
    for name, metric in scores.items():
        metric.attach(engine, name)
    state = engine.run([0])
    assert set(state.metrics) == {
        f"{score}_{region}{suffix}"
        for score in ("psnr", "ssim")
        for region in ("hidden", "image")
        for suffix in ("", "_mean_fill")
    }
    expected = ReconstructionMetric("psnr", "hidden", 16)(prediction, reference(image)).mean().item()
    assert state.metrics["psnr_hidden"] == pytest.approx(expected)
    assert state.metrics["ssim_hidden"] > state.metrics["ssim_hidden_mean_fill"]


@pytest.mark.parametrize("arguments", [("mse", "hidden"), ("psnr", "visible")])
def test_unknown_scores_and_regions_are_refused(arguments):
    with pytest.raises(UserError, match=r"score is one of \['ms_ssim', 'psnr', 'ssim'\]"):
        ReconstructionMetric(*arguments, 16)


@pytest.mark.parametrize("score", ["psnr", "ssim"])
@pytest.mark.parametrize("region", ["hidden", "image"])
def test_padding_is_not_scored(pair, score, region):
    prediction, image = pair
    valid = torch.ones_like(image)
    valid[..., 48:] = 0
    metric = ReconstructionMetric(score, region, 16)
    scores = metric(prediction, {**reference(image), "valid": valid})
    spoiled = torch.where((valid == 0) & (torch.arange(64) > 56), prediction + 1, prediction)
    torch.testing.assert_close(metric(spoiled, {**reference(image), "valid": valid}), scores)
    assert not torch.allclose(metric(spoiled, reference(image)), scores)


def test_hidden_voxels_may_come_as_a_mask(pair):
    prediction, image = pair
    mask = mask_image(HIDDEN, image.shape[2:], 16)
    for name in ("psnr", "ssim"):
        metric = ReconstructionMetric(name, "hidden", 16)
        torch.testing.assert_close(
            metric(prediction, {"image": image, "hidden": mask}), metric(prediction, reference(image))
        )


def test_ms_ssim_is_that_of_monai_and_leaves_padding_out():
    generator = torch.Generator().manual_seed(0)
    image = torch.nn.functional.interpolate(torch.rand(1, 1, 8, 8, 8, generator=generator), scale_factor=6)
    prediction = image + 0.1 * torch.randn(image.shape, generator=generator)
    metric = ReconstructionMetric("ms_ssim", "image", 8)
    whole = metric(prediction, {"image": image})
    assert n_scales(image.shape[2:]) == 3
    weights = torch.tensor([0.0448, 0.2856, 0.3001])
    expected = MultiScaleSSIMMetric(3, weights=(weights / weights.sum()).tolist())(prediction, image)
    torch.testing.assert_close(whole, expected)
    pad = (3, 4, 0, 0, 2, 0)
    valid = torch.nn.functional.pad(torch.ones_like(image), pad)
    padded = torch.nn.functional.pad(prediction, pad, value=7.0), torch.nn.functional.pad(image, pad)
    torch.testing.assert_close(metric(padded[0], {"image": padded[1], "valid": valid}), whole)


@pytest.mark.parametrize("side", [11, 16, 21, 22, 43, 44, 98, 99, 175])
def test_ms_ssim_takes_as_many_scales_as_fit(side):
    image = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0))
    score = ReconstructionMetric("ms_ssim", "image", 1)(image, {"image": image})
    assert score.item() == pytest.approx(1, abs=1e-5)


def test_a_thin_volume_has_an_ms_ssim_too():
    image = torch.rand(1, 1, 16, 32, 32, generator=torch.Generator().manual_seed(0))
    valid = torch.zeros_like(image)
    valid[:, :, 5:10] = 1
    score = ReconstructionMetric("ms_ssim", "image", 8)(image + 0.2 * (1 - valid), {"image": image, "valid": valid})
    assert score.item() == pytest.approx(1, abs=1e-5)
