"""Faults of a policy: each says what is wrong, where, and how to fix it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from app.policy.language.row_view import place_of

# Beyond these, searching for the nearest word would take longer than parsing the policy.
MAX_NEAR = 2000
MAX_PAIRS = 1_000_000  # of characters that are compared for one word, in about 50 ms
MAX_PAIRS_TOGETHER = 3_000_000  # for all faults of one kind
MAX_WORDS = 1_000  # characters of a message or hint, which may quote a file


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault at a place in a policy file.

    `file` is relative to the policy directory. `line` and `column` count from 1; a line of 0 means the whole file.
    `length` is the number of characters to underline, `text` the line itself. `code` is stable, for programs. A
    `message` or `hint` of more than MAX_WORDS characters is truncated.
    """

    code: str
    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    length: int = 1
    text: str = ""

    def __post_init__(self) -> None:
        for name in ("message", "hint"):
            words: str = getattr(self, name)
            if len(words) > MAX_WORDS:
                object.__setattr__(self, name, f"{words[: MAX_WORDS - 1]}…")

    @classmethod
    def of_file(cls, code: str, file: str, message: str, hint: str = "") -> Fault:
        """A fault of a file as a whole; of no file in particular if it is `.`."""
        return cls(code, file, 0, 0, message, hint)

    @property
    def place(self) -> str:
        """`file:line:column`, as compilers write it."""
        return place_of(self.file, self.line, self.column)

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class PolicyRefused(Exception):
    """The policy must not become active; `faults` has every fault found."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.file, fault.line, fault.column)))
        super().__init__("\n".join(str(fault) for fault in self.faults))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint with the nearest known word; empty if none is near."""
    lower = {name.lower(): name for name in known}
    if word.lower() in lower:
        return f"did you mean `{lower[word.lower()]}`?"
    near = nearest(word.lower(), lower, 0.6)
    return f"did you mean `{lower[near]}`?" if near else ""


def nearest(word: str, known: Collection[str], cutoff: float) -> str:
    """The nearest known word that is at least as near as `cutoff`; empty when none is, or the search costs too much."""
    if len(known) > MAX_NEAR or len(word) * sum(map(len, known)) > MAX_PAIRS:
        return ""
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=cutoff)), "")


class NearWords:
    """Hints among the same known words, until MAX_PAIRS_TOGETHER are compared; after that there are none."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = tuple(known)
        self._characters = sum(map(len, self._known))
        self._left = MAX_PAIRS_TOGETHER

    def hint(self, word: str) -> str:
        """A hint that names the nearest known word, or nothing when none is near."""
        if self._left < 0:
            return ""
        self._left -= len(word) * self._characters
        return did_you_mean(word, self._known)
