"""Check bundles without running anything in them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from monai.utils import ensure_tuple

from monai_mae_ext.delivery.bundle_folder import BundleFolder, Finding
from monai_mae_ext.delivery.lint_expressions import check_code
from monai_mae_ext.delivery.lint_files import check_files
from monai_mae_ext.delivery.lint_metadata import check_metadata
from monai_mae_ext.delivery.lint_paths import check_paths
from monai_mae_ext.delivery.lint_properties import check_properties
from monai_mae_ext.delivery.lint_references import check_references
from monai_mae_ext.delivery.lint_sharing import check_sharing
from monai_mae_ext.delivery.lint_weights import check_weights
from monai_mae_ext.errors import UserError

__all__ = ["findings", "lint"]

RULES = (check_files, check_metadata, check_properties, check_references, check_sharing, check_paths, check_weights)


def lint(*bundles: str, allow: tuple[str, ...] = ()) -> int:
    """Print what is wrong with bundles, a line each: file, key, problem, cure. Return how many lines.

    No ``$`` is evaluated and no ``_target_`` is built: a bundle that nobody trusts yet can be looked at.

    Args:
        bundles: their folders.
        allow: packages besides MONAI, PyTorch, Ignite, NumPy and this one that targets and imports may come from.

    Raises:
        UserError: if no bundle is named.
    """
    if not bundles:
        raise UserError("name the folder of a bundle, or of several")
    total = 0
    for bundle in bundles:
        found = findings(bundle, ensure_tuple(allow))
        for finding in found:
            print(finding._replace(file=str(Path(bundle) / finding.file)))
        print(f"{Path(bundle).resolve().name}: {len(found) or 'no'} finding{'s' * (len(found) != 1)}")
        total += len(found)
    return total


def findings(folder: str | os.PathLike, allow: Iterable[str] = ()) -> list[Finding]:
    """What is wrong with one bundle; ``allow`` as for ``lint``."""
    if not (Path(folder) / "configs").is_dir():
        return [Finding(".", "", "is no bundle", "name a folder that holds a folder configs")]
    bundle = BundleFolder(folder)
    found = list(bundle.unreadable)
    for rule in (*RULES, partial(check_code, allow=tuple(allow))):
        try:
            found += rule(bundle)
        except RecursionError:
            return [
                *found,
                Finding("configs", "", "items are nested without end", "look for a macro that leads back to itself"),
            ]
    return found
