"""How good is a reconstruction: PSNR and SSIM over the hidden voxels alone, or over the whole image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from monai.handlers import IgniteMetricHandler, from_engine
from monai.metrics.metric import Cumulative
from torch import Tensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.metrics.ssim import WINDOW, local_ssim, multi_scale_ssim
from monai_mae_ext.transforms.masking import mask_image

__all__ = ["ReconstructionMetric", "ms_ssim", "psnr", "reconstruction_scores", "ssim", "superpatch_scores"]


def psnr(prediction: Tensor, image: Tensor, region: Tensor, value_range: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio in dB, one a sample ``(B,)``.

    Args:
        prediction, image: ``(B, C, *S)``.
        region: bool ``(B, 1, *S)``, the voxels that count.
        value_range: largest minus smallest possible value.
    """
    axes = list(range(1, image.ndim))
    error = ((prediction - image).square() * region).sum(axes) / (region.sum(axes) * image.shape[1])
    return 10 * torch.log10(value_range**2 / error)


def ssim(prediction: Tensor, image: Tensor, region: Tensor, value_range: float = 1.0) -> Tensor:
    """Structural similarity (gaussian window 11, sigma 1.5) averaged over ``region``; arguments as in ``psnr``.

    The window sees voxels outside the region too (reflected at the border), so that over hidden voxels it also judges
    how a prediction joins its surroundings.
    """
    pad = [WINDOW // 2] * 2 * (image.ndim - 2)
    local, _ = local_ssim(F.pad(prediction, pad, mode="reflect"), F.pad(image, pad, mode="reflect"), value_range)
    axes = list(range(1, image.ndim))
    return (local * region).sum(axes) / (region.sum(axes) * image.shape[1])


def ms_ssim(prediction: Tensor, image: Tensor, region: Tensor, value_range: float = 1.0) -> Tensor:
    """Multi-scale structural similarity (Wang et al. 2003) over the box that ``region`` spans; arguments as in psnr.

    As many of the five scales are taken as the box has room for (see ``n_scales``), their weights scaled to a sum of 1.
    Along an axis with fewer than 11 voxels of the region all voxels are taken, those outside it as perfect. There is no
    such score over scattered voxels.
    """
    scores = []
    for guess, truth, counts in zip(torch.where(region, prediction, image), image, region[:, 0], strict=True):
        sides = [(places.min().item(), places.max().item() + 1) for places in counts.nonzero(as_tuple=True)]
        box = [slice(None)] * 2 + [slice(*side) if side[1] - side[0] >= WINDOW else slice(None) for side in sides]
        guess, truth = guess[None][tuple(box)], truth[None][tuple(box)]
        taken = SCALE_WEIGHTS[: n_scales(truth.shape[2:])]
        weights = [weight / sum(taken) for weight in taken]
        scores.append(multi_scale_ssim(guess, truth, weights, value_range))
    return torch.cat(scores)


def n_scales(size: Sequence[int]) -> int:
    """Scales, 1 to 5, whose window fits into an image halved so often, as MONAI (whose bounds are stricter) counts."""
    fits = [min(size) >= WINDOW * max(2**halvings, halvings**2) for halvings in range(len(SCALE_WEIGHTS))]
    return max(1, sum(fits))


SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SCORES = {"psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim}


class ReconstructionMetric(Cumulative):
    """A score of reconstructions for ``monai.handlers.IgniteMetricHandler``; its value is the mean over all images.

    Args:
        score: ``"psnr"`` (dB), ``"ssim"`` or, over images, ``"ms_ssim"``.
        region: ``"hidden"`` for the predicted voxels only, ``"image"`` for all (visible voxels that are pasted in
            count as perfect: say so where you quote it).
        patch_size: token size in voxels.
        value_range: largest minus smallest possible value of the displayed images.
    """

    def __init__(self, score: str, region: str, patch_size: Sequence[int] | int, value_range: float = 1.0) -> None:
        super().__init__()
        if score not in SCORES or region not in ("hidden", "image"):
            regions = "region 'hidden' or 'image'"
            raise UserError(f"score is one of {sorted(SCORES)} and {regions}, not {score!r}, {region!r}")
        self.score, self.region = score, region
        self.patch_size, self.value_range = patch_size, value_range

    def __call__(self, prediction: Tensor, reference: Mapping[str, Tensor]) -> Tensor:
        """Add a batch: ``prediction (B, C, *S)`` against ``reference["image"]``; returns ``(B, 1)``.

        ``reference["hidden"]`` are token indices ``(B, M)``, or the voxels themselves, bool ``(B, 1, *S)``. Voxels
        where ``reference["valid"]`` is 0, if there is such a mask, do not count.
        """
        image = reference["image"]
        region = torch.ones_like(image[:, :1], dtype=torch.bool)
        if self.region == "hidden":
            hidden = reference["hidden"]
            region = hidden if hidden.ndim > 2 else mask_image(hidden, image.shape[2:], self.patch_size)
        if "valid" in reference:
            region = region & reference["valid"].bool()
        scores = SCORES[self.score](prediction, image, region, self.value_range)[:, None]
        self.extend(scores)
        return scores

    def aggregate(self) -> Tensor:
        """Mean over all images since the last reset."""
        return self.get_buffer().mean()


def reconstruction_scores(
    pictures: Mapping[str, str], patch_size: Sequence[int] | int, value_range: float = 1.0
) -> dict[str, IgniteMetricHandler]:
    """PSNR and SSIM, over hidden voxels and over the image, of several pictures: an evaluator's ``additional_metrics``.

    Args:
        pictures: suffix of the metrics' names to the evaluator's output that they judge, e.g.
            ``{"": "reconstruction", "_mean_fill": "mean_fill"}`` gives ``psnr_hidden``, ``psnr_hidden_mean_fill``, ...
        patch_size, value_range: as in ``ReconstructionMetric``.
    """
    return {
        f"{score}_{region}{suffix}": reconstruction_score(score, region, picture, patch_size, value_range)
        for score in ("psnr", "ssim")
        for region in ("hidden", "image")
        for suffix, picture in pictures.items()
    }


def superpatch_scores(
    patch_size: Sequence[int] | int, masked: bool = True, value_range: float = 1.0
) -> dict[str, IgniteMetricHandler]:
    """Scores of whole volumes in three rows, each beside a trivial predictor: an evaluator's ``additional_metrics``.

    Rows are ``unmasked`` (all voxels, from the unmasked volume; rival: the mean of each token), ``hidden`` (voxels that
    were hidden, alone; rival: the visible voxels' mean) and ``pasted`` (all voxels, the visible ones pasted in). The
    first alone compares with networks that see everything.

    Args:
        patch_size, value_range: as in ``ReconstructionMetric``.
        masked: False for networks that cannot hide voxels: the first row alone.
    """
    rows = {"unmasked": ("unmasked", "image"), "unmasked_block_mean": ("block_mean", "image")}
    if masked:
        rows |= {
            "hidden": ("pasted", "hidden"),
            "hidden_mean_fill": ("mean_fill", "hidden"),
            "pasted": ("pasted", "image"),
        }
    return {
        f"{score}_{row}": reconstruction_score(score, region, picture, patch_size, value_range)
        for row, (picture, region) in rows.items()
        for score in SCORES
        if (score, region) != ("ms_ssim", "hidden")
    }


def reconstruction_score(
    score: str, region: str, picture: str, patch_size: Sequence[int] | int, value_range: float
) -> IgniteMetricHandler:
    """``ReconstructionMetric`` of an evaluator's output ``picture``."""
    metric = ReconstructionMetric(score, region, patch_size, value_range)
    return IgniteMetricHandler(metric, output_transform=from_engine([picture, "reference"]))  # type: ignore[arg-type]
