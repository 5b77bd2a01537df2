"""Which decisions someone wants to see: filters, read strictly from text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.audit.filter_values import BadFilter, read_moment, read_text, refuse_unknown

__all__ = ["FILTERS", "MAX_ID", "BadFilter", "DecisionFilter", "read"]

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
_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class DecisionFilter:
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


def read(filters: Mapping[str, str], now: datetime) -> DecisionFilter:
    """The filters as text, by the names of FILTERS. Raises BadFilter with every error."""
    errors = refuse_unknown(filters, FILTERS)
    found: dict[str, object] = {}
    for name, text in filters.items():
        if name not in _READERS:
            continue
        field, convert = _READERS[name]
        try:
            found[field] = convert(text, now)
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise BadFilter(errors)
    return DecisionFilter(**found)  # type: ignore[arg-type]  # each reader makes what its field holds


def _text(text: str, _now: datetime) -> str:
    return read_text(text)


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
    # Whole microseconds, which a float of seconds does not keep.
    return (read_moment(text, now) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


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
