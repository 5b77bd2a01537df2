"""A decision as people and programs read it: one shape over HTTP, in an export and on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from app.audit.record import Record


@dataclass(frozen=True, slots=True)
class RuleView:
    """The row that decided, as it was then."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class DecisionView:
    """A decision. `held` is what the caller stated, null where that is not known; `route` may name a thing."""

    id: int
    time: datetime
    request_id: str
    door: str
    subject: str
    method: Literal["jwt", "api_key", "anonymous"] | None
    key_id: int | None
    token_id: str | None
    action: str
    route: str
    verdict: Literal["allow", "deny"]
    reason: str
    rule: RuleView | None
    missing: tuple[str, ...]
    revision: str
    latency_us: int
    held: tuple[str, ...] | None


def view(row_id: int, record: Record) -> DecisionView:
    """The record with this id."""
    return DecisionView(
        id=row_id,
        time=record.time,
        request_id=record.request_id,
        door=record.door,
        subject=record.subject,
        method=record.method,
        key_id=record.key_id,
        token_id=record.token_id,
        action=record.action,
        route=record.resource,
        verdict="allow" if record.allowed else "deny",
        reason=record.reason,
        rule=None if record.rule_place is None else RuleView(record.rule_place, record.rule_text or ""),
        missing=record.missing,
        revision=record.revision,
        latency_us=record.latency,
        held=None if (held := record.held) is None else tuple(sorted(held)),
    )


_encode = msgspec.json.Encoder().encode


def json_line(row_id: int, record: Record) -> bytes:
    """The record as one line of JSON, its end included."""
    return _encode(view(row_id, record)) + b"\n"
