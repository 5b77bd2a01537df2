"""Administrative acts as events of OCSF: Entity Management [3004], and Authentication [3002] for console sessions."""

from __future__ import annotations

from typing import Any

from app.audit.admin_log import AdminActionView
from app.identity.org_facts import organization_of_owner
from app.siem.actors import actor
from app.siem.event import AUTHENTICATION, ENTITY_MANAGEMENT, PRODUCT, Event, Severity, new_event

KIND = "authz.admin"
_CREATE, _UPDATE, _DELETE = (1, "Create"), (3, "Update"), (4, "Delete")
_LOGON, _LOGOFF = (1, "Logon"), (2, "Logoff")
# By the last word of an act; all others are 99, with the act as their name.
_ACTIVITIES = {
    "issue": _CREATE,
    "create": _CREATE,
    "register": _CREATE,
    "publish": _UPDATE,
    "rollback": _UPDATE,
    "files": _UPDATE,
    "rotate": _UPDATE,
    "update": _UPDATE,
    "change": _UPDATE,
    "enable": (8, "Enable"),
    "disable": (9, "Disable"),
    "remove": _DELETE,
    "revoke": _DELETE,
    "delete": _DELETE,
}
_SESSION = "session"
_POLICY_TYPE, _OTHER_TYPE = 5, 99


def admin_event(act: AdminActionView) -> Event:
    """The event of an act in the admin log."""
    at = int(act.time.timestamp()) * 1_000_000 + act.time.microsecond
    kind, _, verb = act.action.partition(".")
    common: dict[str, Any] = {
        "actor": actor(
            act.actor,
            name_without_subject=act.door or "unknown",
            key_id=act.key_id,
            client_id=act.client_id,
            session_id=act.session_id,
            token_id=act.token_id,
            organization=organization_of_owner(act.actor),
        ),
        "unmapped": {
            "action": act.action,
            "target": act.target,
            "door": act.door or "unknown",
            "impersonator": act.impersonator or "",
            "method": act.method or "none",
            "revision": act.revision or "",
            "details": dict(act.details),
        },
    }
    if kind == _SESSION:
        event_class = AUTHENTICATION
        activity = _LOGON if verb == "start" else _LOGOFF
        attributes = {
            "user": _user(act),
            "service": {"name": f"{PRODUCT} console"},
            "session": {"uid": act.target},
            "auth_protocol_id": 4,
            "is_remote": True,
        }
    else:
        event_class = ENTITY_MANAGEMENT
        activity = _ACTIVITIES.get(verb, (99, act.action))
        attributes = {"entity": _entity(kind, act), "comment": act.message}
    return new_event(
        event_class,
        event_id=f"admin-{act.id}-{at}",
        kind=KIND,
        at=at,
        subject=act.target,
        activity=activity,
        severity=Severity.INFORMATIONAL,
        is_success=True,
        message=f"{act.action} {act.target}{f': {act.message}' if act.message else ''}",
        log="admin",
        request_id=act.request_id,
        attributes={**attributes, **common},
    )


def _user(act: AdminActionView) -> dict[str, Any]:
    """The user of a session: the actor, or the one whose sessions ended."""
    subject = act.target.removeprefix("user:") if act.target.startswith("user:") else act.actor
    return {"uid": subject, "type_id": 1} if subject else {"name": "unknown", "type_id": 0}


def _entity(kind: str, act: AdminActionView) -> dict[str, Any]:
    if kind == "policy":
        policy = {"uid": act.target, "name": "policy", "version": act.target}
        return {"type_id": _POLICY_TYPE, "uid": act.target, "name": "policy", "policy": policy}
    name = act.details.get(f"{kind}_prefix") or act.details.get("name") or act.target
    return {"type_id": _OTHER_TYPE, "type": kind, "uid": act.target, "name": str(name)}
