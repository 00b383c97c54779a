"""Reports as text: cleaning, words as numbers, and which findings a report mentions."""

from monai_mae_ext.reports.cleaning import clean_report, readable_report, sentences_of
from monai_mae_ext.reports.mentions import MENTIONED, find_mentions
from monai_mae_ext.reports.tokenizer import ReportTokenizer

__all__ = ["MENTIONED", "ReportTokenizer", "clean_report", "find_mentions", "readable_report", "sentences_of"]
