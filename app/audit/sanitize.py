"""Text that callers chose, made fit to keep: nothing secret, nothing that a terminal obeys, nothing endless."""

from __future__ import annotations

import re
from functools import lru_cache

_SECRET = re.compile(r"grd_(?:live|test)_[0-9a-f]+|eyJ[A-Za-z0-9_.=-]+")

# What follows the eight digits by which a key is named.
_WHOLE = re.compile(r"grd_[a-z]+_[0-9a-f]{9,}|eyJ[A-Za-z0-9_.=-]+")


def without_secrets(text: str) -> str:
    """The text with whatever looks like an API key or a JWT struck out."""
    return _SECRET.sub("[secret]", text)


def without_whole_secrets(text: str) -> str:
    """As `without_secrets`, but the prefixes by which keys are listed stay."""
    return _WHOLE.sub("[secret]", text)


@lru_cache(maxsize=2_000)
def clean(text: str, length: int) -> str:
    """As `without_secrets`, unprintable characters written out, and no longer than `length`."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    # Struck out before it is cut, so that no part of a secret is left at the end.
    text = without_secrets(text)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def clean_once(text: str, length: int) -> str:
    """As `clean`, for text that hardly ever comes again, which is mostly plain."""
    plain = text.isalnum() and len(text) <= length and "eyJ" not in text  # and without a `_`, so no API key either
    return text if plain else clean.__wrapped__(text, length)
