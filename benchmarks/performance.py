"""Run every command of docs/performance.md, and put what it printed below it.

Run from the top of the repository, on a machine that does nothing else: python -m benchmarks.performance

A command whose result the page shows stands in a block ``bash`` right before ``<!-- output -->``; all up to
``<!-- end -->`` is replaced. Tables stay tables, other lines become a block of text. Commands without that mark prepare
something. ``--only WORD`` runs those alone that have the word.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import fire

from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write

BLOCK = re.compile(r"```bash\n(?P<commands>.*?)```\n(?P<shown>\n<!-- output -->\n.*?<!-- end -->\n)?", re.DOTALL)


def run(commands: str) -> str:
    """What bash commands print, with this interpreter as ``python``; progress goes to the terminal."""
    print(commands, flush=True)
    environment = os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    command = ["bash", "-euc", commands]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def rendered(lines: Sequence[str]) -> str:
    """Tables as they are, other lines as blocks of text, with an empty line between."""
    parts = []
    for is_table, group in groupby((line for line in lines if line.strip()), lambda line: line.startswith("|")):
        text = "\n".join(group)
        parts.append(text if is_table else f"```text\n{text}\n```")
    return "\n\n".join(parts)


def renew(block: re.Match[str]) -> str:
    """Run a block's commands; the block with what they printed, if it shows that."""
    printed = run(block["commands"])
    if not block["shown"]:
        return block[0]
    return f"```bash\n{block['commands']}```\n\n<!-- output -->\n\n{rendered(printed.splitlines())}\n\n<!-- end -->\n"


def main(page: str = "docs/performance.md", only: str = "") -> None:
    """Renew ``page``, after each block, so that nothing is lost if a later one fails.

    Raises:
        UserError: if no command has the word ``only``.
    """
    blocks = [block for block in BLOCK.finditer(Path(page).read_text()) if only in block["commands"]]
    if not blocks:
        raise UserError(f"no command of {page} has {only!r} in it")
    for block in blocks:
        renewed, text = renew(block), Path(page).read_text()  # read anew: somebody may have written meanwhile
        if block[0] not in text:
            raise UserError(f"this block of {page} was changed while its commands ran, what they printed: {renewed}")
        with atomic_write(page) as temporary:
            temporary.write_text(text.replace(block[0], renewed, 1))


if __name__ == "__main__":
    fire.Fire(main)
