"""The key that a question names by its id, from the database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from app.cli.database import with_sessions
from app.cli.failure import fail

if TYPE_CHECKING:
    from app.identity.principal import Principal


def usable_key(key_id: int) -> Principal:
    """Who calls with this key. Fails when there is none, and when it is revoked or expired."""
    from app.identity.api_keys import ENVIRONMENTS, principal_of, refused_because
    from app.identity.errors import CannotVerify
    from app.keys import subjects

    try:
        found = with_sessions(lambda sessions: subjects.records(sessions, [key_id]))
    except CannotVerify as fault:
        fail(fault.detail)
    if not found:
        fail(f"there is no key {key_id}; `authz keys list` shows those that there are.")
    if refused := refused_because(found[0], ENVIRONMENTS, datetime.now(UTC)):
        fail(f"calls with key {key_id} get 401: {refused}.")
    return principal_of(found[0])
