"""Formats values for pages: text without invisible characters, relative times, counts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from markupsafe import Markup, escape

# C0 and C1 controls except tab and line feed, zero-width and bidirectional characters, surrogates, the BOM.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]")
_UNITS = (("year", 31_536_000), ("month", 2_592_000), ("day", 86_400), ("hour", 3600), ("minute", 60))


def visible(value: object) -> object:
    """Replace characters that are invisible or reorder text by their code points, in every printed value."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _INVISIBLE.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", value)
    return value


def verbatim(value: str) -> Markup:
    """Only escape: the content of an editor must come back unchanged."""
    return escape(value)


def ago(moment: datetime) -> Markup:
    """A relative time, with the exact one on hover."""
    date, _, time = moment.astimezone(UTC).isoformat(timespec="seconds").removesuffix("+00:00").partition("T")
    relative = _relative(datetime.now(UTC) - moment)
    # Nothing here needs to be escaped, which would take most of the time of a page.
    return Markup(f'<time datetime="{date}T{time}Z" title="{date} {time} UTC">{relative}</time>')  # noqa: S704  # see above


def number(value: int) -> str:
    """A count with thousands separators."""
    return f"{value:,}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _relative(elapsed: timedelta) -> str:
    seconds = elapsed.total_seconds()
    # Rounded up to a minute, or what was set to end in a day would end in 23 hours a moment later.
    shown = seconds if seconds > -60 else seconds - 59
    for unit, length in _UNITS:
        count = int(abs(shown) // length)
        if count:
            words = plural(count, unit)
            return f"{words} ago" if seconds > 0 else f"in {words}"
    return "just now" if seconds > 0 else "in less than a minute"
