"""Speed and memory of a training step beside MONAI's ``MaskedAutoEncoderViT``."""

from monai_mae_ext.bench.run import bench

__all__ = ["bench"]
