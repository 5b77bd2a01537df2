"""Sanitizes text that callers choose: removes secrets and control characters, and limits its length."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache

from app.identity.token_format import ANY_APP_TOKEN, ANY_ENVIRONMENT, DEFAULT_PREFIX, DIGITS, PUBLIC_DIGITS

_MAX_CACHED = 256  # characters of a cached text

# The 48 digits of a key alone, or with an escape before them such as `%5F`. A digest has 56 digits or more.
_DIGITS = r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{48,55}(?![0-9A-Fa-f])"
_JWT = r"eyJ[A-Za-z0-9_.=-]+"


@dataclass(frozen=True, slots=True)
class _SecretPatterns:
    """The patterns of secrets whose tokens begin with one of these prefixes.

    `complete` are keys with more than the eight digits of their public prefix; the tokens of apps have no public part.
    `pasted` is what a person pastes by mistake. A header of a JWT has 20 characters at least (`{"alg":"RS256"}`): a
    shorter word with `eyJ` may be a name.
    """

    starts: tuple[str, ...]
    secret: re.Pattern[str]
    complete: re.Pattern[str]
    pasted: re.Pattern[str]


def _patterns_of(prefixes: Collection[str]) -> _SecretPatterns:
    prefix = f"(?:{'|'.join(prefixes)})"
    app, digits = f"{prefix}_(?:{ANY_APP_TOKEN})_[0-9a-f]+", f"[0-9a-f]{{{PUBLIC_DIGITS + 1},}}"
    return _SecretPatterns(
        tuple(f"{each}_" for each in prefixes),
        re.compile(rf"(?i:{app}|{prefix}_(?:{ANY_ENVIRONMENT})_[0-9a-f]+)|{_JWT}|{_DIGITS}"),
        re.compile(rf"(?i:{app}|{prefix}_[a-z]+_{digits})|{_JWT}|{_DIGITS}"),
        re.compile(
            rf"(?i:{app}|{prefix}_(?:{ANY_ENVIRONMENT})_{digits})|(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{{17,}}|{_DIGITS}"
        ),
    )


_patterns = _patterns_of([DEFAULT_PREFIX])


def configure(prefixes: Iterable[str]) -> None:
    """Configure the prefixes of tokens in this process. Those with the default prefix are always removed, too."""
    global _patterns  # noqa: PLW0603  # like the configuration of the log
    _patterns = _patterns_of(dict.fromkeys((*prefixes, DEFAULT_PREFIX)))
    _cached_clean.cache_clear()


def without_secrets(text: str) -> str:
    """Replace all that looks like a JWT, an API key or a token of an app, in any case, with or without prefix."""
    if len(text) < DIGITS and "eyJ" not in text:  # a fifth of the time
        lower = text.lower()
        for start in _patterns.starts:
            if start in lower:
                break
        else:
            return text
    return _patterns.secret.sub("[secret]", text)


def without_whole_secrets(text: str) -> str:
    """Like `without_secrets`, but the public prefixes of keys stay."""
    return _patterns.complete.sub("[secret]", text)


def has_secret(text: str) -> bool:
    """Whether a text for people contains a JWT, an API key or a token of an app; public prefixes of keys are none."""
    return _patterns.pasted.search(text) is not None


def clean(text: str, length: int) -> str:
    """Remove secrets, escape unprintable characters, and truncate to `length`."""
    return (_cached_clean if len(text) <= _MAX_CACHED else _clean)(text, length)


def _clean(text: str, length: int) -> str:
    # Only a part of a long text, since the patterns take a millisecond for every 10,000 characters.
    part = text[: 2 * length + DIGITS]
    is_cut, text = len(part) < len(text), part
    if not text.isprintable():
        text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    # Before the text is truncated, so that no part of a secret is left at its end.
    text = without_secrets(text)
    if is_cut:  # perhaps within the digits of a key, too few of which are left to be found
        text = f"{text[:-DIGITS]}…"
    return text if len(text) <= length else f"{text[: length - 1]}…"


_cached_clean = lru_cache(maxsize=2_000)(_clean)


def clean_once(text: str, length: int) -> str:
    """Like `clean`, for text that is rarely repeated and usually plain."""
    # Without `_` and shorter than its digits, so it contains no API key.
    is_plain = text.isalnum() and len(text) < min(length + 1, DIGITS) and "eyJ" not in text
    return text if is_plain else _clean(text, length)
