"""Reads a TOML file of the policy, within limits."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from app.policy.language.fault import Fault
from app.policy.language.source import shown
from app.policy.language.toml_bounds import find_excess

MAX_CHARACTERS = 256 * 1024


def read_toml(file: str, text: str, faults: list[Fault]) -> Mapping[str, Any] | None:
    """The tables of a file; None, and a fault, if it is too large or not TOML."""
    if len(text) > MAX_CHARACTERS:
        faults.append(Fault.of_file("toml", file, f"it has {len(text)} characters, the limit is {MAX_CHARACTERS}"))
        return None
    if excess := find_excess(text):
        line = text.count("\n", 0, excess.index) + 1
        words = f"not TOML: {excess.message}"
        faults.append(Fault("toml", file, line, 1, words, excess.hint, text=_line(text, line)))
        return None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error).split(" (at ", maxsplit=1)[0]
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line, column = (int(place[1]), int(place[2])) if place else (max(text.count("\n"), 1), 1)
        message = shown(f"not TOML: {message[:1].lower()}{message[1:]}")
        faults.append(Fault("toml", file, line, column, message, text=_line(text, line)))
        return None


def _line(text: str, number: int) -> str:
    """The text of a line, counted from 1."""
    return text.split("\n", number)[number - 1]
