"""Words of reports as numbers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.files import atomic_write
from monai_mae_ext.reports.mentions import MENTIONED, find_mentions

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["ABSENT", "BEGIN", "END", "PADDING", "ReportTokenizer"]

PADDING, BEGIN, END, UNKNOWN, ABSENT = range(5)
SPECIAL = ("<pad>", "<begin>", "<end>", "<unknown>", "<absent>")


class ReportTokenizer:
    """A vocabulary of words and full stops, kept as ``tokenizer.json`` of the ``tokenizers`` library.

    A report begins with a plan, what it will say of each finding: a token of the finding's own, or that it is absent.

    Args:
        tokenizer: of that library; numbers 0 to 4 are padding, begin, end, unknown words and an absent finding; then
            come the findings, then the words.

    Attributes:
        findings: of the plan, names of ``MENTIONED``.
        plan: their tokens.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        known = tokenizer.get_vocab()
        self.findings = [name for name in MENTIONED if f"<{name}>" in known]
        self.plan = [known[f"<{name}>"] for name in self.findings]
        self.no_words = {PADDING, BEGIN, ABSENT, *self.plan}
        self.forbidden = sorted({UNKNOWN, *self.no_words})
        """What no report may hold behind its plan."""

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size()

    @classmethod
    def fit(cls, reports: Iterable[str], vocab_size: int, min_count: int = 3) -> ReportTokenizer:
        """Number findings and words of cleaned reports, words of most reports first; equal counts by the alphabet.

        Args:
            reports: of the training section alone.
            vocab_size: how many tokens the network knows, special ones among them.
            min_count: words of fewer reports are unknown, findings of fewer have no place in the plan.

        Raises:
            UserError: if no word is frequent enough.
        """
        library, reports = import_tokenizers(), list(reports)
        mentions = np.array([find_mentions(report) for report in reports]).sum(0)
        plan = [f"<{name}>" for name, count in zip(MENTIONED, mentions, strict=True) if count >= min_count]
        special = [*SPECIAL, *plan]
        counts = Counter(word for report in reports for word in set(report.split()))
        words = [word for word, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
        words = [word for word in words if counts[word] >= min_count][: vocab_size - len(special)]
        if not words:
            raise UserError(
                f"no word of the training reports is in {min_count} of them: add reports, or lower min_count"
            )
        numbers = {word: number for number, word in enumerate([*special, *words])}
        tokenizer = library.Tokenizer(library.models.WordLevel(numbers, unk_token=SPECIAL[UNKNOWN]))
        tokenizer.pre_tokenizer = library.pre_tokenizers.WhitespaceSplit()
        tokenizer.add_special_tokens(special)
        return cls(tokenizer)

    @classmethod
    def load(cls, path: str | os.PathLike, vocab_size: int | None = None) -> ReportTokenizer:
        """Read ``tokenizer.json``.

        Raises:
            UserError: if there is no such file, it is something else, or it has more tokens than ``vocab_size``.
        """
        if not Path(path).is_file():
            raise UserError(f"no file {path}: train with this bundle first, or correct ckpt_dir")
        try:
            tokenizer = import_tokenizers().Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain exceptions
            raise UserError(f"{path} is no tokenizer ({error}): train with this bundle again") from error
        if [tokenizer.token_to_id(token) for token in SPECIAL] != list(range(len(SPECIAL))):
            raise UserError(f"{path} is a tokenizer of something else: train with this bundle again")
        if vocab_size is not None and tokenizer.get_vocab_size() > vocab_size:
            raise UserError(
                f"{path} has {tokenizer.get_vocab_size()} tokens, the network {vocab_size}: set the vocab_size it was "
                "trained with, or use another ckpt_dir"
            )
        return cls(tokenizer)

    @classmethod
    def load_or_fit(
        cls, path: str | os.PathLike, reports: Iterable[str], vocab_size: int, min_count: int = 3
    ) -> ReportTokenizer:
        """Go on with the tokenizer of a run that has a checkpoint beside it, or make one, which is not written yet."""
        if Path(path).is_file() and Path(path).with_name("last.pt").is_file():
            return cls.load(path, vocab_size)
        return cls.fit(reports, vocab_size, min_count)

    def save(self, path: str | os.PathLike) -> None:
        """Write ``tokenizer.json``, atomically."""
        with atomic_write(path) as temporary:
            self.tokenizer.save(str(temporary))

    def encode(self, report: str, length: int) -> Tensor:
        """A cleaned report as int64 ``(length,)``: begin, plan, words, end, padding; cut off if it is too long."""
        mentioned = find_mentions(report, self.findings)
        plan = [number if present else ABSENT for number, present in zip(self.plan, mentioned, strict=True)]
        words = self.tokenizer.encode(report, add_special_tokens=False).ids
        numbers = [BEGIN, *plan, *words, END][:length]
        return torch.tensor(numbers + [PADDING] * (length - len(numbers)))

    def words(self, tokens: Sequence[int] | Tensor) -> list[str]:
        """The words up to the end token; begin, plan and padding are no words."""
        numbers = tokens.tolist() if isinstance(tokens, Tensor) else list(tokens)
        numbers = numbers[: numbers.index(END)] if END in numbers else numbers
        return [str(self.tokenizer.id_to_token(number)) for number in numbers if number not in self.no_words]

    def decode(self, tokens: Sequence[int] | Tensor) -> str:
        """A cleaned report of tokens ``(L,)``."""
        return " ".join(self.words(tokens))


def import_tokenizers():  # type: ignore[no-untyped-def]
    """The library, or a ``UserError`` that says how to get it."""
    try:
        import tokenizers
    except ModuleNotFoundError as error:
        raise UserError("reports need two more packages: pip install monai-mae-ext[report]") from error
    return tokenizers
