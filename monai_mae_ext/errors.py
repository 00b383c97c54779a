"""The one exception that means "the user can mend this", and how a command line shows it."""

from __future__ import annotations

import sys
from types import TracebackType

__all__ = ["UserError", "show_user_errors"]


class UserError(ValueError):
    """A wrong path, shape, label, checkpoint or config value: the message names it and says what to do."""


def user_error_behind(error: BaseException | None) -> BaseException | None:
    """The ``UserError`` that caused ``error``, found along the chain of causes (MONAI wraps what a config raises).

    It is known by its name: the code that a packed bundle carries has a class of its own.
    """
    while error is not None and not any(kind.__name__ == UserError.__name__ for kind in type(error).__mro__):
        error = error.__cause__
    return error


def show_user_errors() -> None:
    """From now on an uncaught ``UserError`` ends the program with one line on stderr and exit code 1, no traceback.

    Every other exception keeps its full traceback.
    """

    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        user_error = user_error_behind(error)
        if user_error is None:
            sys.__excepthook__(kind, error, traceback)
        else:
            print(f"error: {user_error}", file=sys.stderr)

    sys.excepthook = hook
