"""What a client is told when something fails."""

from __future__ import annotations

from monai_mae_ext.data.tolerant import root_cause
from monai_mae_ext.errors import user_error_behind

__all__ = ["is_user_error", "one_line"]


def is_user_error(error: BaseException) -> bool:
    """Whether the user can mend it."""
    return user_error_behind(error) is not None


def one_line(error: BaseException) -> str:
    return str(user_error_behind(error) or root_cause(error))
