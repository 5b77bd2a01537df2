"""The admin log: its acts, the view of an act, and filters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.audit.filter_values import BadFilter, read_moment, read_text, refuse_unknown

Action = Literal[
    "policy.publish",
    "policy.rollback",
    "policy.files",
    "policy.reload",
    "policy.shadow",
    "policy.shadow.withdraw",
    "key.issue",
    "key.rotate",
    "key.revoke",
    "consent.give",
    "consent.end",
    "person.block",
    "person.unblock",
    "session.start",
    "session.end",
    "session.end_all",
    "app.register",
    "app.change",
    "app.rotate",
    "app.disable",
    "app.enable",
    "app.remove",
    "log.seal",
]
# A value of `details`, as in JSON.
Detail = str | int | bool | list[str] | None

# Descriptions for users. The target is a revision, `key:<id>`, `session:<id>`, `user:<sub>`, `app:<client_id>` or
# `day:<date>`.
ACTIONS: Mapping[Action, str] = {
    "policy.publish": "Published a policy",
    "policy.rollback": "Rolled the policy back",
    "policy.files": "Changed the policy files",
    "policy.reload": "Reloaded the policy",
    "policy.shadow": "Deployed a policy in shadow",
    "policy.shadow.withdraw": "Withdrew the policy in shadow",
    "key.issue": "Issued a key",
    "key.rotate": "Rotated a key",
    "key.revoke": "Revoked a key",
    "consent.give": "Allowed an app",
    "consent.end": "Ended the access of an app",
    "person.block": "Blocked a person",
    "person.unblock": "Unblocked a person",
    "session.start": "Signed in to the console",
    "session.end": "Signed out",
    "session.end_all": "Signed out everywhere",
    "app.register": "Registered an app",
    "app.change": "Changed an app",
    "app.rotate": "Rotated the secret of an app",
    "app.disable": "Disabled an app",
    "app.enable": "Enabled an app",
    "app.remove": "Removed an app",
    "log.seal": "Sealed a day of the logs",
}
_GROUPS = tuple(dict.fromkeys(name.partition(".")[0] for name in ACTIONS))

# The filters and their descriptions.
ADMIN_FILTERS: Mapping[str, str] = {
    "action": f"the act, one of {', '.join(ACTIONS)}; or all acts of a kind: {', '.join(_GROUPS)}",
    "actor": "the author: the `sub` of a user or of the owner of a key, or the account of a command, such as cli:root",
    "target": "the target of the act: key:17, the revision of a policy, session:4, user:<sub> or app:<id>",
    "request_id": "the X-Request-ID of the response",
    "since": "at or after this time: 2026-11-20T09:00:00Z, 2026-11-20, or an age such as 7d, 2h, 30m",
    "until": "before this time",
}


@dataclass(frozen=True, slots=True)
class AdminFilter:
    """Acts that match all fields that are set. `since` is inclusive, `until` exclusive."""

    actions: tuple[str, ...] | None = None
    actor: str | None = None
    target: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AdminActionView:
    """An administrative act, as the API, the console and the command line show it.

    `actor` did `action` to `target`, through `door`; `client_id` is an app on behalf of it, `impersonator` who acted as
    it by the `act` claim of a token. `revision` is that of the policy that allowed it; null if none
    decided it. `door`, the fields after it and `details` are empty in rows of releases that did not record them.
    """

    id: int
    time: datetime
    action: str
    target: str
    actor: str
    door: str | None
    method: str | None
    key_id: int | None
    client_id: str | None
    impersonator: str | None
    session_id: int | None
    token_id: str | None
    revision: str | None
    request_id: str
    message: str
    details: dict[str, Detail]


def read_admin_filter(filters: Mapping[str, str], now: datetime) -> AdminFilter:
    """Read filters from text, by the names of ADMIN_FILTERS. Raises BadFilter with all errors."""
    errors = refuse_unknown(filters, ADMIN_FILTERS)
    texts: dict[str, str] = {}
    times: dict[str, datetime] = {}
    for name, text in filters.items():
        if name in errors:
            continue
        try:
            if name in ("since", "until"):
                times[name] = read_moment(text, now)
            else:
                texts[name] = read_text(text)
        except ValueError as error:
            errors[name] = str(error)
    actions = None
    if (chosen := texts.get("action")) is not None:
        actions = tuple(name for name in ACTIONS if chosen in (name, name.partition(".")[0]))
        if not actions:
            errors["action"] = f"is not an act; choose one of {', '.join((*_GROUPS, *ACTIONS))}"
    if errors:
        raise BadFilter(errors)
    return AdminFilter(
        actions,
        texts.get("actor"),
        texts.get("target"),
        texts.get("request_id"),
        times.get("since"),
        times.get("until"),
    )
