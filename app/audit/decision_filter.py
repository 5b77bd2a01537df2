"""Filters of decisions, parsed strictly from text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.audit.filter_values import BadFilter, read_moment, read_text, refuse_unknown

__all__ = ["FILTERS", "MAX_ID", "BadFilter", "DecisionFilter", "read"]

MAX_ID = 2**63 - 1
# The filters and their descriptions.
FILTERS: Mapping[str, str] = {
    "subject": "the user, or the owner of the API key",
    "key_id": "the id of the API key",
    "client": "the id of the app that acts on behalf of the user",
    "route": "the route template, such as /v1/orders/{order_id}, or the type:id of an AuthZEN resource",
    "action": "the HTTP method, or the action of an AuthZEN request",
    "verdict": "allow or deny",
    "revision": "the revision of the policy that decided",
    "request_id": "the X-Request-ID of the response",
    "since": "at or after this time: 2026-11-20T09:00:00Z, 2026-11-20, or an age such as 7d, 2h, 30m",
    "until": "before this time",
}
_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Decisions that match all fields that are set.

    `since` is inclusive, `until` exclusive, both in microseconds since 1970. Decisions of the door `except_door` do not
    match.
    """

    subject: str | None = None
    key_id: int | None = None
    client_id: str | None = None
    resource: str | None = None
    action: str | None = None
    allowed: bool | None = None
    revision: str | None = None
    request_id: str | None = None
    since: int | None = None
    until: int | None = None
    except_door: str | None = None


def read(filters: Mapping[str, str], now: datetime) -> DecisionFilter:
    """Read filters from text, by the names of FILTERS. Raises BadFilter with all errors."""
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
    return DecisionFilter(**found)  # type: ignore[arg-type]  # each reader returns the type of its field


def read_period(last: str, now: datetime) -> tuple[int, int]:
    """The time from `last`, written as for `since`, until now, in microseconds since 1970. Raises ValueError."""
    return _moment(last, now), _micros(now)


def _text(text: str, _now: datetime) -> str:
    return read_text(text)


def _key_id(text: str, _now: datetime) -> int:
    if _ID.fullmatch(text) is None or int(text) > MAX_ID:
        raise ValueError("must be the id of a key, such as 17")
    return int(text)


def _route(text: str, now: datetime) -> str:
    # A template has no trailing slash, but users may write one.
    return _text(text, now).rstrip("/") or "/"


def _verdict(text: str, _now: datetime) -> bool:
    if text not in ("allow", "deny"):
        raise ValueError("must be allow or deny")
    return text == "allow"


def _moment(text: str, now: datetime) -> int:
    return _micros(read_moment(text, now))


def _micros(moment: datetime) -> int:
    # In integers, since a float of seconds is not exact to the microsecond.
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


_READERS: Mapping[str, tuple[str, Callable[[str, datetime], object]]] = {
    "subject": ("subject", _text),
    "key_id": ("key_id", _key_id),
    "client": ("client_id", _text),
    "route": ("resource", _route),
    "action": ("action", _text),
    "verdict": ("allowed", _verdict),
    "revision": ("revision", _text),
    "request_id": ("request_id", _text),
    "since": ("since", _moment),
    "until": ("until", _moment),
}
