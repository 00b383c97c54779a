"""What a client is told when something fails."""

from __future__ import annotations

from monai_mae_ext.data.tolerant import root_cause

__all__ = ["is_user_error", "one_line"]


def user_error(error: BaseException | None) -> BaseException | None:
    """The ``UserError`` behind an error; a packed bundle's is a class of its own, of the code that it carries."""
    while error is not None and type(error).__name__ != "UserError":
        error = error.__cause__
    return error


def is_user_error(error: BaseException) -> bool:
    """Whether the user can mend it."""
    return user_error(error) is not None


def one_line(error: BaseException) -> str:
    return str(user_error(error) or root_cause(error))
