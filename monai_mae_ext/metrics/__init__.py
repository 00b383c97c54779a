"""Metrics that need the mask, and figures that tell whether an encoder learns."""

from monai_mae_ext.metrics.health import effective_rank, linear_readability, trivial_losses
from monai_mae_ext.metrics.reconstruction import ReconstructionMetric, reconstruction_scores

__all__ = ["ReconstructionMetric", "effective_rank", "linear_readability", "reconstruction_scores", "trivial_losses"]
