"""What happened to the logs themselves, as events of OCSF's class Event Log Activity [1008]."""

from __future__ import annotations

from app.audit.deletions import Deletion
from app.audit.drops import DropWindow
from app.db.chain_store import StoredEntry
from app.db.siem_cursors import Gap
from app.siem.event import EVENT_LOG_ACTIVITY, PRODUCT, Event, Severity, new_event

_OTHER, _DELETE = 99, (2, "Delete")


def drop_event(window: DropWindow) -> Event:
    """The event of decisions that the log lost. A window that went on is sent again with its greater count."""
    return _loss(
        f"drop-{window.id}-{window.count}",
        "authz.dropped",
        (_OTHER, "Drop"),
        f"{window.count} decisions of the class {window.decision_class} were lost before they were logged",
        log="decisions",
        count=window.count,
        first_at=window.first_at,
        last_at=window.last_at,
        unmapped={"window": window.id, "decision_class": window.decision_class},
    )


def gap_event(log: str, gap: Gap) -> Event:
    """The event of records that were deleted before their delivery."""
    return _loss(
        f"gap-{log}-{gap.last_id}-{gap.first_at}-{gap.records}",
        "authz.missed",
        _DELETE,
        f"{gap.records} records of the log {log} were deleted before they were delivered",
        log=log,
        count=gap.records,
        first_at=gap.first_at,
        last_at=gap.last_at,
        unmapped={"last_id": str(gap.last_id)},
    )


def deletion_event(row_id: int, deletion: Deletion) -> Event:
    """The event of decisions that were deleted since the log was too large, whether they were delivered or not."""
    return _loss(
        f"deletion-{row_id}-{deletion.deleted_at}",
        "authz.deleted",
        _DELETE,
        f"{deletion.count} decisions of the class {deletion.decision_class} were deleted, since the log was too large",
        log="decisions",
        count=deletion.count,
        first_at=deletion.first_at,
        last_at=deletion.last_at,
        unmapped={"decision_class": deletion.decision_class, "last_id": str(deletion.last_id)},
        at=deletion.deleted_at,
    )


def seal_event(row_id: int, stored: StoredEntry) -> Event:
    """The event of an entry of the hash chain: its head, with which the chain can be compared later."""
    entry, signature = stored.entry, stored.signature
    return new_event(
        EVENT_LOG_ACTIVITY,
        event_id=f"seal-{row_id}-{entry.at}",
        kind="authz.sealed",
        at=entry.at,
        subject=entry.log,
        activity=(_OTHER, "Seal"),
        severity=Severity.INFORMATIONAL,
        is_success=True,
        message=f"the log {entry.log} was sealed up to the id {entry.up_to_id}",
        log=entry.log,
        attributes={
            **_log_attributes(entry.log),
            "unmapped": {
                "head": str(stored.head),
                "key_id": "" if signature is None else signature.key_id,
                "signature": "" if signature is None else signature.value.hex(),
                "up_to_id": str(entry.up_to_id),
            },
        },
    )


def refusal_event(refused: Event, log: str, status: int) -> Event:
    """The event in place of one that the destination does not accept, without its content."""
    return _loss(
        f"refused-{refused.id}",
        "authz.refused",
        (_OTHER, "Refuse"),
        f"a record of the log {log} was not accepted: HTTP {status}",
        log=log,
        count=1,
        first_at=refused.at,
        last_at=refused.at,
        unmapped={"refused": refused.id},
        status_code=str(status),
    )


def _loss(
    event_id: str,
    kind: str,
    activity: tuple[int, str],
    message: str,
    *,
    log: str,
    count: int,
    first_at: int,
    last_at: int,
    unmapped: dict[str, str],
    status_code: str | None = None,
    at: int | None = None,
) -> Event:
    return new_event(
        EVENT_LOG_ACTIVITY,
        event_id=event_id,
        kind=kind,
        at=last_at if at is None else at,
        subject=log,
        activity=activity,
        severity=Severity.HIGH,
        is_success=False,
        message=message,
        log=log,
        count=count,
        attributes={
            **_log_attributes(log),
            "start_time": first_at // 1000,
            "end_time": last_at // 1000,
            **({} if status_code is None else {"status_code": status_code}),
            "unmapped": unmapped,
        },
    )


def _log_attributes(log: str) -> dict[str, str | int]:
    return {"log_name": log, "log_provider": PRODUCT, "log_type_id": 2}
