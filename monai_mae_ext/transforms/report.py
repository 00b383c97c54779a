"""A report's text as tokens."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTrait

from monai_mae_ext.reports import ReportTokenizer

__all__ = ["TokenizeReportd"]


class TokenizeReportd(MapTransform, RandomizableTrait):
    """Replace cleaned reports by their tokens, int64 ``(length,)``: see ``ReportTokenizer.encode``.

    Nothing in it is random. By that trait MONAI's data sets know what not to cache: every training fits a tokenizer of
    its own, and the films before it are to be decoded once.

    Args:
        keys: of the reports.
        tokenizer: the bundle's.
        length: tokens of every report, begin, end and padding among them.
    """

    def __init__(self, keys: KeysCollection, tokenizer: ReportTokenizer, length: int) -> None:
        super().__init__(keys)
        self.tokenizer, self.length = tokenizer, length

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        return {**data, **{key: self.tokenizer.encode(data[key], self.length) for key in self.key_iterator(data)}}
