"""Which decisions someone wants to see: filters, read strictly from text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from app.audit.clean import clean

MAX_ID = 2**63 - 1
# What there is to filter by, and what each means.
FILTERS: Mapping[str, str] = {
    "subject": "the person who asked, or the owner of the key that did",
    "key_id": "the id of the API key that asked",
    "route": "the route template, such as /api/v1/teams/{team_id}, or the thing that was asked about",
    "action": "the method, or what was to be done with a thing",
    "verdict": "allow or deny",
    "revision": "the revision of the policy that decided",
    "request_id": "the X-Request-ID of the answer",
    "since": "from this time on: 2026-11-20T09:00:00Z, 2026-11-20, or how long ago as in 7d, 2h, 30m",
    "until": "before this time",
}
_AGO = re.compile(r"([1-9][0-9]{0,5})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})", re.ASCII)
_EXAMPLES = "write a time such as 2026-11-20T09:00:00Z, a day such as 2026-11-20, or how long ago such as 7d or 2h"


class BadFilter(ValueError):
    """Filters that cannot be read; `errors` say why, by name."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {message}" for name, message in errors.items()))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Wanted:
    """Decisions that fit all that is set. `since` is included and `until` is not, both in microseconds since 1970.

    Those made at the door `but_door` are left out.
    """

    subject: str | None = None
    key_id: int | None = None
    resource: str | None = None
    action: str | None = None
    allowed: bool | None = None
    revision: str | None = None
    request_id: str | None = None
    since: int | None = None
    until: int | None = None
    but_door: str | None = None


def read(filters: Mapping[str, str], now: datetime) -> Wanted:
    """The filters as text, by the names of FILTERS. Raises BadFilter with every error."""
    errors: dict[str, str] = {}
    found: dict[str, object] = {}
    for name, text in filters.items():
        reader = _READERS.get(name)
        if reader is None:
            errors[clean(name, 40)] = f"is no filter; there are {', '.join(FILTERS)}"
            continue
        field, convert = reader
        try:
            found[field] = convert(text, now)
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise BadFilter(errors)
    return Wanted(**found)  # type: ignore[arg-type]  # each reader makes what its field holds


def _text(text: str, _now: datetime) -> str:
    if not text.isprintable() or len(text) > 512:
        raise ValueError("must be printable text of at most 512 characters")
    return text


def _key_id(text: str, _now: datetime) -> int:
    if _ID.fullmatch(text) is None or int(text) > MAX_ID:
        raise ValueError("must be the id of a key, such as 17")
    return int(text)


def _route(text: str, now: datetime) -> str:
    # A template has no last slash; a path is written with one.
    return _text(text, now).rstrip("/") or "/"


def _verdict(text: str, _now: datetime) -> bool:
    if text not in ("allow", "deny"):
        raise ValueError("must be allow or deny")
    return text == "allow"


def _moment(text: str, now: datetime) -> int:
    try:
        return _micros(_when(text, now))
    except OverflowError:
        raise ValueError("is out of range") from None


def _when(text: str, now: datetime) -> datetime:
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


def _micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


_READERS: Mapping[str, tuple[str, Callable[[str, datetime], object]]] = {
    "subject": ("subject", _text),
    "key_id": ("key_id", _key_id),
    "route": ("resource", _route),
    "action": ("action", _text),
    "verdict": ("allowed", _verdict),
    "revision": ("revision", _text),
    "request_id": ("request_id", _text),
    "since": ("since", _moment),
    "until": ("until", _moment),
}
