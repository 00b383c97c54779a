from __future__ import annotations

import subprocess
import sys

import pytest

from monai_mae_ext.errors import UserError, user_error_behind

START = "from monai_mae_ext.errors import UserError, show_user_errors\nshow_user_errors()\n"


def run(body: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", START + body], capture_output=True, text=True)


def test_a_user_error_is_a_value_error():
    assert issubclass(UserError, ValueError)


@pytest.mark.parametrize(
    "body",
    [
        "raise UserError('no folder /x: give another')",
        "try:\n    raise UserError('no folder /x: give another')\n"
        "except ValueError as error:\n    raise RuntimeError('Failed to instantiate') from error",
    ],
    ids=["raised", "wrapped"],
)
def test_an_uncaught_user_error_is_one_line_and_exit_code_1(body):
    result = run(body)
    assert result.returncode == 1
    assert result.stderr == "error: no folder /x: give another\n"
    assert result.stdout == ""


@pytest.mark.parametrize(
    "body",
    [
        "raise KeyError('a bug')",
        "raise ValueError('a bug')",
        "try:\n    raise UserError('was handled')\nexcept UserError:\n    raise KeyError('a bug')",
        "try:\n    raise UserError('was handled')\nexcept UserError:\n    raise KeyError('a bug') from None",
    ],
    ids=["KeyError", "ValueError", "while handling", "from None"],
)
def test_other_errors_keep_their_traceback(body):
    result = run(body)
    assert result.returncode == 1
    assert "Traceback" in result.stderr and "a bug" in result.stderr
    assert "error: was handled" not in result.stderr


def test_the_cause_is_found_however_deep():
    first, second, third = UserError("the cause"), RuntimeError("outer"), RuntimeError("outermost")
    second.__cause__, third.__cause__ = first, second
    assert user_error_behind(third) is first
    assert user_error_behind(RuntimeError()) is None


def test_the_error_of_a_packed_bundles_own_code_is_one_too() -> None:
    foreign = type("UserError", (ValueError,), {})
    narrower = type("RadiographError", (foreign,), {})
    for kind in (foreign, narrower):
        try:
            try:
                raise kind("no weights at a: train first")
            except ValueError as error:
                raise RuntimeError("evaluating run") from error
        except RuntimeError as error:
            assert str(user_error_behind(error)) == "no weights at a: train first"
    assert user_error_behind(ValueError("b")) is None
