"""How often to do what takes time beside the training."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Pace"]

SHARE = 0.05


class Pace:
    """When a piece of work is due again, so that it takes about a twentieth of the time; the first time at once."""

    def __init__(self) -> None:
        self.due = 0.0
        """By the clock of ``time.monotonic``."""

    def is_due(self) -> bool:
        return time.monotonic() >= self.due

    @contextmanager
    def work(self) -> Iterator[None]:
        """Do the work inside: the longer it takes, the later it is due again."""
        started = time.monotonic()
        yield
        ended = time.monotonic()
        self.due = ended + (ended - started) / SHARE
