"""Metrics that need the mask, figures that tell whether an encoder learns, and scores of multi-label classifiers, of
segmentations and of reports."""

from monai_mae_ext.metrics.calibration import Calibration, expected_calibration_error, f1_thresholds
from monai_mae_ext.metrics.classification import MeanAUC, classification_table, mean_scores, paired_difference
from monai_mae_ext.metrics.health import effective_rank, linear_readability, trivial_losses
from monai_mae_ext.metrics.neighbours import neighbour_scores
from monai_mae_ext.metrics.ranking import average_precision, roc_auc
from monai_mae_ext.metrics.reconstruction import ReconstructionMetric, reconstruction_scores, superpatch_scores
from monai_mae_ext.metrics.report import ReportBLEU, bleu, mention_scores, text_scores
from monai_mae_ext.metrics.segmentation import MeanDice, dice_score, hausdorff95

__all__ = [
    "Calibration",
    "MeanAUC",
    "MeanDice",
    "ReconstructionMetric",
    "ReportBLEU",
    "average_precision",
    "bleu",
    "classification_table",
    "dice_score",
    "effective_rank",
    "expected_calibration_error",
    "f1_thresholds",
    "hausdorff95",
    "linear_readability",
    "mean_scores",
    "mention_scores",
    "neighbour_scores",
    "paired_difference",
    "reconstruction_scores",
    "roc_auc",
    "superpatch_scores",
    "text_scores",
    "trivial_losses",
]
