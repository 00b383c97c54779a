"""What every bundle of this project does first when it runs."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from fire.parser import DefaultParseValue, SeparateFlagArgs
from monai.bundle import ConfigParser
from monai.bundle.scripts import run
from monai.utils import ensure_tuple

from monai_mae_ext import __version__
from monai_mae_ext.errors import UserError, show_user_errors

__all__ = ["start_bundle"]


def start_bundle() -> None:
    """Show errors that the user can mend in one line, and refuse misspelt overrides, which MONAI would silently ignore.

    A downloaded bundle, which carries its code, says so where another version is installed.

    Raises:
        UserError: if the command line of ``python -m monai.bundle run`` overrides a key that no config file has.
    """
    show_user_errors()
    compare_with_installed()
    if sys.argv[1:2] == ["run"]:
        check_overrides(sys.argv[2:])


def compare_with_installed() -> None:
    """Tell whose code runs, if this is a bundle's own copy and another version is installed."""
    if __name__.split(".")[0] == "monai_mae_ext":
        return
    with suppress(PackageNotFoundError):
        installed = version("monai-mae-ext")
        if installed != __version__:
            print(f"this bundle runs the monai_mae_ext {__version__} that it carries, not the installed {installed}")


def check_overrides(arguments: Sequence[str]) -> None:
    """Compare ``--key value`` and ``--key=value`` of ``monai.bundle run`` with top-level keys of its config files."""
    options = {}
    arguments, _ = SeparateFlagArgs(list(arguments))
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            options[name.replace("-", "_")] = value if equals else following
    if "config_file" not in options:
        return
    files = ensure_tuple(DefaultParseValue(options["config_file"]))
    known = {*ConfigParser.load_config_files(files), *inspect.signature(run).parameters}
    for option in options:
        key = re.split("#|::", option.lstrip("+"))[0]
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise UserError(f"no config file has a key {key!r}" + (f": did you mean --{near[0]}?" if near else ""))
