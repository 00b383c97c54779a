"""Rules on what a configuration would run: names of targets and imports, and what ``$`` expressions say.

A lint for honest mistakes and clumsy mischief, no sandbox: who runs a bundle trusts it.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from monai.bundle import ReferenceResolver

from monai_mae_ext.delivery.bundle_folder import BundleFolder, Finding
from monai_mae_ext.delivery.config_ids import items, references

__all__ = ["check_code", "parse_expression"]

PACKAGES = ("monai", "torch", "ignite", "numpy", "scripts", "monai_mae_ext")
STANDARD = frozenset(
    "collections copy datetime functools glob itertools json logging math operator os pathlib random re statistics "
    "string sys tempfile time typing warnings".split()
)
"""Modules of the standard library that configurations have use for."""
BUILTINS = frozenset("breakpoint compile eval exec globals input locals open vars".split())
"""Harmful as names of their own: ``network.eval()`` and ``torch.compile`` are something else."""
HARMFUL = re.compile(
    r"__\w+|system|popen\w*|startfile|exec[lv]\w*|(posix_)?spawn\w*|fork\w*|subprocess|pickle|ctypes|socket|importlib"
    r"|builtins|hub"
)
"""Harmful wherever they stand in a dotted name: ``torch.os.system`` and ``torch.hub.load`` are found by MONAI."""
LOADS = ("load", "torch.load", "torch.serialization.load")
SAFE_LOAD = "torch.load without weights_only=True runs code that a file brings along"


def check_code(bundle: BundleFolder, allow: Sequence[str] = ()) -> Iterator[Finding]:
    """Look at all targets, imports and expressions.

    Those in metadata too: MONAI evaluates what looks like an expression wherever it stands.

    Args:
        allow: packages that targets and imports may come from, besides the usual ones and those in the bundle's folder.
    """
    carried = [path.parent.name for path in bundle.root.glob("*/__init__.py")]
    packages = (*PACKAGES, *carried, *(package.rstrip(".") for package in allow))
    for file, content in bundle.configs.items():
        for id, value in items(content):
            if isinstance(value, dict) and "_target_" in value:
                for problem, cure in bad_target(value, packages):
                    yield Finding(file, f"{id}#_target_", problem, cure)
            elif isinstance(value, str) and value.startswith("$"):
                for problem, cure in bad_expression(value, packages):
                    yield Finding(file, id, problem, cure)


def parse_expression(value: str) -> ast.Module:
    """The syntax of ``$expression``, each reference a name in it, as MONAI puts them in.

    Raises:
        SyntaxError: if it is not one expression or import.
    """
    text = ReferenceResolver.id_matcher.sub("_reference", ReferenceResolver.normalize_id(value[1:]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(text)
    except (ValueError, MemoryError, RecursionError) as error:
        raise SyntaxError(str(error)) from error
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.Expr | ast.Import | ast.ImportFrom):
        raise SyntaxError("it is not one expression or one import")
    return tree


def bad_target(component: dict[str, Any], packages: Sequence[str]) -> Iterator[tuple[str, str]]:
    target = component["_target_"]
    if not isinstance(target, str):
        yield "is no name", "name a class or function"
    elif target[:1] not in ("$", "@", "%"):
        parts = target.split(".")
        if len(parts) > 1 and not within(target, packages):
            yield f"{target} is outside {', '.join(packages)}", advice(parts[0])
        elif parts[0] in BUILTINS or any(HARMFUL.fullmatch(part) for part in parts):
            yield f"{target} can do harm", "do it in code that can be read and tested"
        elif target in LOADS and component.get("weights_only") is not True:
            yield SAFE_LOAD, 'add "weights_only": true'


def bad_expression(value: str, packages: Sequence[str]) -> Iterator[tuple[str, str]]:
    try:
        tree = parse_expression(value)
    except SyntaxError as error:
        yield f"does not parse: {error.msg}", "write one Python expression or one import"
        return
    if "import" in value and references(value):
        # what has the word in it is parsed in search of an import statement, before references are put in
        yield 'has "import" beside a reference, on which MONAI fails', "choose another name"
    harm = sorted({name for node in ast.walk(tree) for name in harmful_names(node)})
    if harm:
        yield f"uses {', '.join(harm)}, which can do harm", "do it in code that can be read and tested"
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in LOADS and not loads_weights_only(node):
            yield SAFE_LOAD, "add weights_only=True"
        for module in imported(node):
            if not within(module, [*packages, *STANDARD]):
                yield f"imports {module}, which is outside {', '.join(packages)}", advice(module.split(".")[0])


def within(name: str, packages: Sequence[str]) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def advice(package: str) -> str:
    return f"use what these have, or lint with --allow {package} if users are told to install it"


def harmful_names(node: ast.AST) -> list[str]:
    """Names in a node that can do harm. Texts with double underscores are for getattr and its like."""
    match node:
        case ast.Name(id=name):
            return [name] if name in BUILTINS or HARMFUL.fullmatch(name) else []
        case ast.Attribute(attr=name) | ast.alias(name=name):
            return [part for part in name.split(".") if HARMFUL.fullmatch(part)]
        case ast.Constant(value=str(text)):
            return re.findall(r"__\w+__", text)
    return []


def loads_weights_only(call: ast.Call) -> bool:
    return any(
        word.arg == "weights_only" and isinstance(word.value, ast.Constant) and word.value.value is True
        for word in call.keywords
    )


def imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [name.name for name in names]
        case ast.ImportFrom(module=module):
            return [module or "."]
    return []
