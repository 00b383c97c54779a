"""From windows to whole volumes."""

from monai_mae_ext.inferers.superpatch import SuperpatchInferer

__all__ = ["SuperpatchInferer"]
