"""Bounds on TOML, checked before its parser runs: what is nested or named in many parts costs it the square of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

# A catalogue needs two parts (`"catalog:read".title`) and two levels of brackets (`[[`).
MAX_PARTS = 8  # of a key, separated by dots
MAX_LEVELS = 8  # of brackets and braces
MAX_DIGITS = 400  # of a number

# Each alternative matches without going back, and a string that is not closed ends with its line or with the text:
# the parser refuses it there, so that what follows is of no account.
_TOKEN = re.compile(
    r"""
      (?P<passed> \#[^\n]*+
        | \"{3} (?: [^"\\]++ | \\.?+ | "{1,2}(?!") )*+ (?: "{3,5}+ | \Z )
        | '{3}  (?: [^']++ | '{1,2}(?!') )*+ (?: '{3,5}+ | \Z )
        | "     (?: [^"\\\n]++ | \\[^\n]?+ )*+ "?+
        | '     [^'\n]*+ '?+ )
    | (?P<opened>   [\[{] )
    | (?P<closed>   [\]}] )
    | (?P<ended>    [=,\n] )
    | (?P<dot>      \. )
    | (?P<word>     [^\s\[\]{}=,.\#"']++ )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Excess:
    """What goes beyond a bound, how to fix it, and the index of the character where it does."""

    message: str
    hint: str
    index: int


def find_excess(text: str) -> Excess | None:
    """The first part of a text that goes beyond a bound. Takes time in proportion to the text, TOML or not."""
    level = dots = 0
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "dot":
            dots += 1
            if dots >= MAX_PARTS:
                return Excess("a key has too many parts", f"write at most {MAX_PARTS}", token.start())
        elif kind == "word":
            if token.end() - token.start() > MAX_DIGITS and text[token.start()] in "+-0123456789":
                return Excess("a number is too long", f"write at most {MAX_DIGITS} digits", token.start())
        elif kind != "passed":
            dots = 0
            level += (kind == "opened") - (kind == "closed")
            if level > MAX_LEVELS:
                return Excess("it is nested too deep", f"open at most {MAX_LEVELS} brackets", token.start())
    return None
