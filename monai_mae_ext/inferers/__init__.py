"""From windows to whole volumes, from word to word."""

from monai_mae_ext.inferers.body_window import BodyWindowInferer, body_mask
from monai_mae_ext.inferers.report import GeneratedReports, ReportInferer, write_reports
from monai_mae_ext.inferers.superpatch import SuperpatchInferer

__all__ = ["BodyWindowInferer", "GeneratedReports", "ReportInferer", "SuperpatchInferer", "body_mask", "write_reports"]
