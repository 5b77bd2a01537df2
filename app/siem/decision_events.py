"""Decisions as events of OCSF's class API Activity [6003], with the profile `security_control`."""

from __future__ import annotations

from typing import Any

from app.audit.record import Record
from app.db.log_records import LoggedRecord
from app.policy.routing.routes import is_route
from app.siem.actors import actor
from app.siem.event import API_ACTIVITY, Event, Severity, new_event

KIND = "authz.decision"
_CREATE, _READ, _UPDATE, _DELETE = (1, "Create"), (2, "Read"), (3, "Update"), (4, "Delete")
# Of methods, and of the actions of AuthZEN with these names.
_ACTIVITIES = {
    "GET": _READ,
    "HEAD": _READ,
    "OPTIONS": _READ,
    "POST": _CREATE,
    "PUT": _UPDATE,
    "PATCH": _UPDATE,
    "DELETE": _DELETE,
    "create": _CREATE,
    "read": _READ,
    "update": _UPDATE,
    "delete": _DELETE,
}


def decision_event(logged: LoggedRecord) -> Event:
    """The event of a decision in the log."""
    record = logged.record
    key = record.key
    return new_event(
        API_ACTIVITY,
        # The time tells decisions apart that have the same id before and after a restore of the database.
        event_id=f"decision-{logged.id}-{record.at}",
        kind=KIND,
        at=record.at,
        subject=key.resource,
        activity=_ACTIVITIES.get(key.action, (99, key.action)),
        severity=Severity.INFORMATIONAL if key.allowed else Severity.LOW,
        is_success=key.allowed,
        message=_message(record),
        log="decisions",
        count=record.times,
        request_id=record.request_id,
        profiles=("security_control",),
        attributes={
            "status_detail": key.reason,
            "action_id": 1 if key.allowed else 2,
            "disposition_id": 1 if key.allowed else 2,
            "authorizations": [{"decision": "allow" if key.allowed else "deny", "policy": _policy(record)}],
            "actor": actor(
                key.subject,
                name_without_subject="anonymous" if key.method == "anonymous" else "unknown",
                key_id=key.key_id,
                client_id=key.client_id,
                token_id=record.token_id,
                organization=key.organization,
            ),
            "api": {"operation": key.action, "request": {"uid": record.request_id}},
            "resources": [_resource(key.resource)],
            # The log keeps no addresses: what is known of the source is the door.
            "src_endpoint": {"svc_name": key.door},
            "unmapped": {
                "door": key.door,
                "impersonator": key.impersonator or "",
                "latency_us": record.latency,
                "method": key.method or "none",
                "missing": list(key.missing),
                "revision": key.revision,
            },
        },
    )


def _message(record: Record) -> str:
    key = record.key
    missing = f": {' '.join(key.missing)}" if key.missing else ""
    return f"{'allow' if key.allowed else 'deny'} {key.action} {key.resource}: {key.reason}{missing}"


def _policy(record: Record) -> dict[str, Any]:
    """The policy, and the rule that decided."""
    key = record.key
    policy: dict[str, Any] = {"uid": key.revision, "version": key.revision}
    if key.rule_place is not None:
        policy |= {"name": key.rule_place, "desc": key.rule_text or ""}
    return policy


def _resource(text: str) -> dict[str, Any]:
    if is_route(text):
        return {"type": "route", "name": text}
    kind, separator, uid = text.partition(":")
    return {"type": kind, "name": text, "uid": uid} if separator and uid else {"type": kind, "name": text}
