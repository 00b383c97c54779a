"""From windows to whole volumes."""

from monai_mae_ext.inferers.body_window import BodyWindowInferer, body_mask
from monai_mae_ext.inferers.superpatch import SuperpatchInferer

__all__ = ["BodyWindowInferer", "SuperpatchInferer", "body_mask"]
