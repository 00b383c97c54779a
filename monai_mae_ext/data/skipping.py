"""Reading a folder once, going on past files that cannot be read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import IterableDataset

from monai_mae_ext.data.epoch_order import SeededDraws
from monai_mae_ext.errors import UserError, user_error_behind

__all__ = ["SkippingDataset"]


class SkippingDataset(SeededDraws, IterableDataset):
    """Items of a datalist through a transform, one by one; what fails is named, left out and remembered.

    For evaluation and inference, where every file counts once and a bad one must not stop the others. ``bad`` holds the
    reason for each path left out. End with ``fail_if_bad``, so that the program's exit code tells.

    Args:
        data: datalist.
        transform: applied to each item.
        image_key: item of the datalist that holds the file's path.
    """

    def __init__(self, data: Sequence[Mapping[str, Any]], transform: Callable, image_key: str = "image") -> None:
        self.data, self.transform, self.image_key = data, transform, image_key
        self.bad: dict[str, str] = {}
        self.logger = logging.getLogger(__name__)

    def __iter__(self) -> Iterator[Any]:
        self.bad.clear()
        for index, item in enumerate(self.data):
            self.seed_draws(index)
            try:
                out = self.transform(item)
            except Exception as error:
                self.leave_out(item[self.image_key], str(user_error_behind(error) or error))
                continue
            yield out

    def leave_out(self, path: str, reason: str) -> None:
        """Note, and say, that a file gets no result. Handlers call it for what only the network's output shows."""
        self.bad[path] = reason
        self.logger.error(f"left out {Path(path).name}: {reason}")

    def fail_if_bad(self) -> None:
        """Raise ``UserError`` if the last pass left files out."""
        if self.bad:
            names = [Path(path).name for path in self.bad]
            some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            raise UserError(
                f"{len(self.bad)} of {len(self.data)} files were left out: {some}; "
                "`python -m monai_mae_ext audit` lists them with reasons"
            )
