"""Seeds: inputs that are kept, among them each one that ever failed.

An entry says `why`, and has the input as `text`, as `base64` where that is not UTF-8, or as `parts`, each a text and
how often it is repeated.
"""

from __future__ import annotations

import json
from base64 import b64decode
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "tests" / "fuzz" / "seeds"


@cache
def seeds_of(target: str) -> tuple[bytes, ...]:
    """The seeds of a target; none where it has no file."""
    file = FOLDER / f"{target}.json"
    return tuple(map(_data, json.loads(file.read_text()))) if file.exists() else ()


def _data(entry: dict[str, Any]) -> bytes:
    if "parts" in entry:
        return b"".join(text.encode() * times for text, times in entry["parts"])
    if "text" in entry:
        return str(entry["text"]).encode()
    return b64decode(entry["base64"], validate=True)
