"""Sanitizes text that callers choose: removes secrets and control characters, and limits its length."""

from __future__ import annotations

import re
from functools import lru_cache

# The 48 digits of a key alone, or with an escape before them such as `%5F`. A digest has 56 digits or more.
_DIGITS = r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{48,55}(?![0-9A-Fa-f])"
_JWT = r"eyJ[A-Za-z0-9_.=-]+"
_SECRET = re.compile(rf"(?i:grd_(?:live|test|oat|ort|oac|ocs)_[0-9a-f]+)|{_JWT}|{_DIGITS}")

# A key with more than the eight digits of its public prefix. The tokens of apps have no public part.
_WHOLE = re.compile(rf"(?i:grd_(?:oat|ort|oac|ocs)_[0-9a-f]+|grd_[a-z]+_[0-9a-f]{{9,}})|{_JWT}|{_DIGITS}")
_KEY_DIGITS = 48
# What a person pastes by mistake. A header of a JWT has 20 characters at least (`{"alg":"RS256"}`): a shorter word with
# `eyJ` may be a name.
_PASTED = re.compile(
    r"(?i:grd_(?:oat|ort|oac|ocs)_[0-9a-f]+|grd_(?:live|test)_[0-9a-f]{9,})"
    rf"|(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{{17,}}|{_DIGITS}"
)


def without_secrets(text: str) -> str:
    """Replace all that looks like a JWT, an API key or a token of an app, in any case, with or without prefix."""
    if len(text) < _KEY_DIGITS and "eyJ" not in text and "grd_" not in text.lower():  # a fifth of the time
        return text
    return _SECRET.sub("[secret]", text)


def without_whole_secrets(text: str) -> str:
    """Like `without_secrets`, but the public prefixes of keys stay."""
    return _WHOLE.sub("[secret]", text)


def has_secret(text: str) -> bool:
    """Whether a text for people contains a JWT, an API key or a token of an app; public prefixes of keys are none."""
    return _PASTED.search(text) is not None


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
    # Without `_` and shorter than its digits, so it contains no API key.
    is_plain = text.isalnum() and len(text) < min(length + 1, _KEY_DIGITS) and "eyJ" not in text
    return text if is_plain else clean.__wrapped__(text, length)
