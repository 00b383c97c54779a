"""Rule on paths: none is absolute, for it would exist on its author's machine alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from monai_mae_ext.delivery.bundle_folder import METADATA, BundleFolder, Finding
from monai_mae_ext.delivery.config_ids import items
from monai_mae_ext.delivery.lint_expressions import parse_expression

__all__ = ["check_paths"]

ABSOLUTE = re.compile(r"%?(/[^/\s]|~|[A-Za-z]:[\\/]|\\\\)")
"""Starts of POSIX, home, Windows and network paths, as macros too. A slash alone separates."""


def check_paths(bundle: BundleFolder) -> Iterator[Finding]:
    """Look at all texts of all configurations, those in expressions too."""
    for file, content in bundle.configs.items():
        for id, value in items(content):
            if file == METADATA or not isinstance(value, str) or id.endswith("_desc_"):
                continue
            for path in in_expression(value) if value.startswith("$") else [value]:
                if ABSOLUTE.match(path):
                    cure = "start from a reference, such as $@bundle_root + '/data'"
                    yield Finding(file, id, f"{path} is an absolute path", cure)


def in_expression(value: str) -> list[str]:
    """Texts in an expression, without those that continue another one: behind a +, or inside an f-string."""
    try:
        tree = parse_expression(value)
    except SyntaxError:
        return []  # a finding of its own
    later: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case ast.BinOp(op=ast.Add(), right=right):
                later.update(ast.walk(right))
            case ast.JoinedStr(values=[_, *rest]):
                later.update(rest)
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in later]
    return [node.value for node in texts if isinstance(node.value, str)]
