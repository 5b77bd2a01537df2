"""A decision, as the API, exports and the command line show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from app.audit.decision_class import DecisionClass
from app.audit.deletions import Deletion
from app.audit.drops import DropWindow
from app.audit.record import DecisionKey, Record, time_of
from app.identity.principal import Method
from app.policy.language.row_view import RowView


@dataclass(frozen=True, slots=True)
class DecisionView:
    """A decision. `rule` is the row that decided, as it was at that time. `route` may be `type:id`.

    `client_id` is the app that acts on behalf of the subject, `impersonator` who acts as the subject by the `act` claim
    of a token. `organization` is the id of the organization of the caller, null without one.

    `held` has the grants that the caller stated, null if not known. `count` is the number of equal denials within the
    second, of which the others have request ids of their own; it is 1 except for callers without valid credentials.
    """

    id: int
    time: datetime
    request_id: str
    door: str
    subject: str
    method: Method | None
    key_id: int | None
    client_id: str | None
    impersonator: str | None
    organization: str | None
    token_id: str | None
    action: str
    route: str
    verdict: Literal["allow", "deny"]
    reason: str
    rule: RowView | None
    missing: tuple[str, ...]
    revision: str
    latency_us: int
    held: tuple[str, ...] | None
    count: int = 1


@dataclass(frozen=True, slots=True)
class DroppedDecisions:
    """Decisions of a class that were lost: `known` callers, `authzen` requests, or `anonymous` and bad credentials."""

    decision_class: DecisionClass
    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class DropNotice:
    """A line of an export in place of decisions that are missing, since they were lost."""

    dropped: DroppedDecisions


def drop_notice(window: DropWindow) -> DropNotice:
    """The notice of a window."""
    first, last = time_of(window.first_at), time_of(window.last_at)
    return DropNotice(DroppedDecisions(window.decision_class, window.count, first, last))


@dataclass(frozen=True, slots=True)
class DeletedDecisions:
    """Decisions of a class that were deleted, since the log was too large: all that were left up to the id `last_id`.

    `first` and `last` are the times of the decisions, `deleted` is when the last of them was deleted.
    """

    decision_class: DecisionClass
    count: int
    first: datetime
    last: datetime
    last_id: int
    deleted: datetime


@dataclass(frozen=True, slots=True)
class DeletionNotice:
    """A line of an export in place of decisions that are missing, since they were deleted."""

    deleted: DeletedDecisions


def deletion_notice(deletion: Deletion) -> DeletionNotice:
    """The notice of a deletion."""
    first, last, at = map(time_of, (deletion.first_at, deletion.last_at, deletion.deleted_at))
    return DeletionNotice(
        DeletedDecisions(deletion.decision_class, deletion.count, first, last, deletion.last_id, deleted=at)
    )


def view(row_id: int, record: Record) -> DecisionView:
    """The view of the record with this id."""
    key = record.key
    held = key.held
    return DecisionView(
        id=row_id,
        time=record.time,
        request_id=record.request_id,
        door=key.door,
        subject=key.subject,
        method=key.method,
        key_id=key.key_id,
        client_id=key.client_id,
        impersonator=key.impersonator,
        organization=key.organization,
        token_id=record.token_id,
        action=key.action,
        route=key.resource,
        verdict="allow" if key.allowed else "deny",
        reason=key.reason,
        rule=_row(key),
        missing=key.missing,
        revision=key.revision,
        latency_us=record.latency,
        held=None if held is None else tuple(sorted(held)),
        count=record.times,
    )


def _row(key: DecisionKey) -> RowView | None:
    if key.rule_place is None:
        return None
    file, _, line = key.rule_place.rpartition(":")
    return RowView(file, int(line), None, key.rule_text or "")


_encode = msgspec.json.Encoder().encode


def json_line(row_id: int, record: Record) -> bytes:
    """The record as a line of JSON, with its line feed."""
    return _encode(view(row_id, record)) + b"\n"


def drop_line(window: DropWindow) -> bytes:
    """The notice of a window as a line of JSON, with its line feed."""
    return _encode(drop_notice(window)) + b"\n"


def deletion_line(deletion: Deletion) -> bytes:
    """The notice of a deletion as a line of JSON, with its line feed."""
    return _encode(deletion_notice(deletion)) + b"\n"
