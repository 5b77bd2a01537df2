"""Looks up a key by its id in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.cli.database import with_sessions
from app.cli.failure import fail

if TYPE_CHECKING:
    from app.identity.principal import Principal
    from app.policy.engine.snapshot import Snapshot


def usable_key(snapshot: Snapshot, key_id: int) -> Principal:
    """The principal of a key. Fails if it does not exist, or is revoked or expired."""
    from app.identity.token_format import ENVIRONMENTS
    from app.keys.known_key import known_key
    from app.keys.refusals import NoSuchKey

    try:
        key, principal = with_sessions(lambda sessions: known_key(sessions, snapshot, key_id, ENVIRONMENTS))
    except NoSuchKey:
        fail(f"there is no key {key_id}; `authz keys list` lists the existing ones.")
    if key.refused:
        fail(f"calls with key {key_id} get 401: {key.refused}.")
    return principal
