"""Keeping the words that a network knows beside its weights."""

from __future__ import annotations

import os
from pathlib import Path

import ignite.distributed as idist
from ignite.engine import Events
from monai.engines import Workflow

from monai_mae_ext.reports import ReportTokenizer

__all__ = ["SaveTokenizer"]


class SaveTokenizer:
    """Write ``tokenizer.json`` when the training starts, so that no checkpoint is without it.

    Args:
        tokenizer: the bundle's.
        ckpt_dir: gets the file.
    """

    def __init__(self, tokenizer: ReportTokenizer, ckpt_dir: str | os.PathLike) -> None:
        self.tokenizer, self.path = tokenizer, Path(ckpt_dir) / "tokenizer.json"

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Workflow) -> None:
        if idist.get_rank() == 0:
            self.tokenizer.save(self.path)
