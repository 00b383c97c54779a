"""What training costs: beside MONAI's ``MaskedAutoEncoderViT``, and before it is started."""

from monai_mae_ext.bench.plan import plan
from monai_mae_ext.bench.run import bench

__all__ = ["bench", "plan"]
