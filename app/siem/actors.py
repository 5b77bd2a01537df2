"""The actor of an event, as the logs know it."""

from __future__ import annotations

from typing import Any

_API_KEY = "API key"


def actor(
    subject: str,
    *,
    name_without_subject: str,
    key_id: int | None = None,
    client_id: str | None = None,
    session_id: int | None = None,
    token_id: str | None = None,
    organization: str | None = None,
) -> dict[str, Any]:
    """The `actor` of OCSF. Without a subject it is named by the circumstances, since the schema needs a user.

    `client_id` is that of an app which acts on behalf of the subject, `organization` that in which the subject acts.
    """
    if not subject:
        user: dict[str, Any] = {"name": name_without_subject, "type_id": 0}
    else:
        user = {"uid": subject, "type_id": 1 if key_id is None else 4}
    if key_id is not None:
        user["programmatic_credentials"] = [{"uid": f"key:{key_id}", "type": _API_KEY}]
    if organization is not None:
        user["org"] = {"uid": organization}
    found: dict[str, Any] = {"user": user}
    if client_id is not None:
        found["app_uid"] = client_id
    session: dict[str, Any] = {}
    if session_id is not None:
        session["uid"] = f"session:{session_id}"
    if token_id is not None:
        session["credential_uid"] = token_id
    if session:
        found["session"] = session
    return found
