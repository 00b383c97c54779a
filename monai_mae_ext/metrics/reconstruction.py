"""How good is a reconstruction: PSNR and SSIM over the hidden voxels alone, or over the whole image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from monai.handlers import IgniteMetricHandler, from_engine
from monai.metrics.metric import Cumulative
from monai.metrics.regression import KernelType, compute_ssim_and_cs
from torch import Tensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.transforms.masking import mask_image

__all__ = ["ReconstructionMetric", "psnr", "reconstruction_scores", "ssim"]


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
    pad = [5] * 2 * (image.ndim - 2)
    local, _ = compute_ssim_and_cs(
        F.pad(prediction, pad, mode="reflect"), F.pad(image, pad, mode="reflect"), image.ndim - 2,
        kernel_size=[11] * (image.ndim - 2), kernel_sigma=[1.5] * (image.ndim - 2), data_range=value_range,
        kernel_type=KernelType.GAUSSIAN,
    )  # fmt: skip
    axes = list(range(1, image.ndim))
    return (local * region).sum(axes) / (region.sum(axes) * image.shape[1])


SCORES = {"psnr": psnr, "ssim": ssim}


class ReconstructionMetric(Cumulative):
    """A score of reconstructions for ``monai.handlers.IgniteMetricHandler``; its value is the mean over all images.

    Args:
        score: ``"psnr"`` (dB) or ``"ssim"``.
        region: ``"hidden"`` for the predicted voxels only, ``"image"`` for all (with the visible voxels pasted in,
            which count as perfect: say so where you quote it).
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

        Voxels where ``reference["valid"]`` is 0, if there is such a mask, do not count.
        """
        image = reference["image"]
        region = torch.ones_like(image[:, :1], dtype=torch.bool)
        if self.region == "hidden":
            region = mask_image(reference["hidden"], image.shape[2:], self.patch_size)
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
        f"{score}_{region}{suffix}": IgniteMetricHandler(
            ReconstructionMetric(score, region, patch_size, value_range),  # type: ignore[arg-type]
            output_transform=from_engine([picture, "reference"]),
        )
        for score in SCORES
        for region in ("hidden", "image")
        for suffix, picture in pictures.items()
    }
