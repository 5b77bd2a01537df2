"""Looks up a key by its id in the database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from app.cli.database import with_sessions
from app.cli.failure import fail

if TYPE_CHECKING:
    from app.identity.principal import Principal


def usable_key(key_id: int) -> Principal:
    """The principal of a key. Fails if it does not exist, or is revoked or expired."""
    from app.identity.api_keys import ENVIRONMENTS, principal_of, refused_because
    from app.identity.errors import CannotVerify
    from app.keys import subjects

    try:
        found = with_sessions(lambda sessions: subjects.records(sessions, [key_id]))
    except CannotVerify as fault:
        fail(fault.detail)
    if not found:
        fail(f"there is no key {key_id}; `authz keys list` lists the existing ones.")
    if refused := refused_because(found[0], ENVIRONMENTS, datetime.now(UTC)):
        fail(f"calls with key {key_id} get 401: {refused}.")
    return principal_of(found[0])
