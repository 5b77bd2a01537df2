"""Values of filters of the logs, parsed strictly from text. Readers raise ValueError, which says how to write it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

from app.audit.sanitize import clean

_MAX_TEXT = 512  # characters
_AGO = re.compile(r"([1-9][0-9]{0,5})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})", re.ASCII)
_EXAMPLES = "write a time such as 2026-11-20T09:00:00Z, a day such as 2026-11-20, or an age such as 7d or 2h"


class BadFilter(ValueError):
    """Invalid filters; `errors` has the messages by name."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {message}" for name, message in errors.items()))
        self.errors = errors


def refuse_unknown(filters: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Errors for the names that are not filters."""
    choice = f"choose one of {', '.join(known)}" if known else "this list has none"
    return {clean(name, 40): f"is not a filter; {choice}" for name in filters if name not in known}


def read_text(text: str) -> str:
    """Read printable text of bounded length."""
    if not text.isprintable() or len(text) > _MAX_TEXT:
        raise ValueError(f"must be printable text of at most {_MAX_TEXT} characters")
    return text


def read_moment(text: str, now: datetime) -> datetime:
    """Read a time, a day, or an age before `now`; in UTC."""
    try:
        return _moment(text, now).astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None


def _moment(text: str, now: datetime) -> datetime:
    if ago := _AGO.fullmatch(text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"is no time that exists; {_EXAMPLES}") from None
    raise ValueError(f"cannot be read; {_EXAMPLES}")
