"""Sanitizes text that callers choose: removes secrets and control characters, and limits its length."""

from __future__ import annotations

import re
from functools import lru_cache

_SECRET = re.compile(r"grd_(?:live|test)_[0-9a-f]+|eyJ[A-Za-z0-9_.=-]+")

# A key with more than the eight digits of its public prefix.
_WHOLE = re.compile(r"grd_[a-z]+_[0-9a-f]{9,}|eyJ[A-Za-z0-9_.=-]+")


def without_secrets(text: str) -> str:
    """Replace everything that looks like an API key or a JWT."""
    if "grd_" not in text and "eyJ" not in text:  # a fifth of the time
        return text
    return _SECRET.sub("[secret]", text)


def without_whole_secrets(text: str) -> str:
    """Like `without_secrets`, but the public prefixes of keys stay."""
    return _WHOLE.sub("[secret]", text)


@lru_cache(maxsize=2_000)
def clean(text: str, length: int) -> str:
    """Remove secrets, escape unprintable characters, and truncate to `length`."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    # Before the text is truncated, so that no part of a secret is left at its end.
    text = without_secrets(text)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def clean_once(text: str, length: int) -> str:
    """Like `clean`, for text that is rarely repeated and usually plain."""
    is_plain = text.isalnum() and len(text) <= length and "eyJ" not in text  # without `_`, so it contains no API key
    return text if is_plain else clean.__wrapped__(text, length)
