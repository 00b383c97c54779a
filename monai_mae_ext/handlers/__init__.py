"""Ignite handlers that MONAI and ignite lack."""

from monai_mae_ext.handlers.average import WeightAverage
from monai_mae_ext.handlers.calibrate import FitCalibration
from monai_mae_ext.handlers.calibrate_reports import FitReportCalibration
from monai_mae_ext.handlers.checkpoint import AtomicCheckpoint, LoadWeights
from monai_mae_ext.handlers.classification_report import ClassificationReport
from monai_mae_ext.handlers.collect import CollectOutputs
from monai_mae_ext.handlers.early_stop import StopWithoutImprovement
from monai_mae_ext.handlers.guard import NonFiniteGuard
from monai_mae_ext.handlers.health import LearningHealth
from monai_mae_ext.handlers.history import History
from monai_mae_ext.handlers.looking import look_every
from monai_mae_ext.handlers.masking_ramp import MaskingRamp
from monai_mae_ext.handlers.neighbour_probe import NeighbourProbe
from monai_mae_ext.handlers.panel import ReconstructionPanel
from monai_mae_ext.handlers.predictions import SavePredictions
from monai_mae_ext.handlers.progress import LossProgressBar
from monai_mae_ext.handlers.report_evaluation import ReportEvaluation
from monai_mae_ext.handlers.save import SaveReconstructions
from monai_mae_ext.handlers.save_reports import SaveReports
from monai_mae_ext.handlers.save_segmentations import SaveSegmentations
from monai_mae_ext.handlers.save_tokenizer import SaveTokenizer
from monai_mae_ext.handlers.save_volumes import SaveVolumes
from monai_mae_ext.handlers.scan_labels import ScanLabels, ScanRegions
from monai_mae_ext.handlers.scores import ScoreTable
from monai_mae_ext.handlers.seeding import EpochSeed
from monai_mae_ext.handlers.segmentation_report import SegmentationReport

__all__ = [
    "AtomicCheckpoint",
    "ClassificationReport",
    "CollectOutputs",
    "EpochSeed",
    "FitCalibration",
    "FitReportCalibration",
    "History",
    "LearningHealth",
    "LoadWeights",
    "LossProgressBar",
    "MaskingRamp",
    "NeighbourProbe",
    "NonFiniteGuard",
    "ReconstructionPanel",
    "ReportEvaluation",
    "SavePredictions",
    "SaveReconstructions",
    "SaveReports",
    "SaveSegmentations",
    "SaveTokenizer",
    "SaveVolumes",
    "ScanLabels",
    "ScanRegions",
    "ScoreTable",
    "SegmentationReport",
    "StopWithoutImprovement",
    "WeightAverage",
    "look_every",
]
