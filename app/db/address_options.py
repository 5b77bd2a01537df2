"""The parameter `options` of a PostgreSQL address: settings of the session, or words for a provider's proxy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_WORD = re.compile(r"(?:\\.|[^\s\\])+")
_SETTING = re.compile(r"([A-Za-z_][A-Za-z0-9_.\-]*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """`settings` are set in each session, or in each transaction behind a pooler. `startup` is sent unchanged."""

    settings: Mapping[str, str]
    startup: str


def read_options(options: str) -> ConnectionOptions:
    """Read `-c name=value`, `-cname=value`, `--name=value`, and words without a dash, as Neon's `endpoint=…`.

    Words are separated by blanks; a backslash escapes one. Raises ValueError for anything else.
    """
    words = iter([re.sub(r"\\(.)", r"\1", word) for word in _WORD.findall(options)])
    settings: dict[str, str] = {}
    startup: list[str] = []
    for word in words:
        if not word.startswith("-"):
            startup.append(word)
            continue
        match = _SETTING.fullmatch(_assignment(word, words))
        if match is None:
            raise ValueError("write -c name=value")
        settings[match[1].replace("-", "_").lower()] = match[2]
    return ConnectionOptions(settings, " ".join(startup))


def _assignment(word: str, following: Iterator[str]) -> str:
    if word == "-c":
        return next(following, "")
    return word[2:] if word.startswith(("-c", "--")) else ""
