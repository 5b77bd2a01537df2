"""Looks up an API key by its id: what it is, and who calls with it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from app.db.session import Sessions
from app.identity.api_keys import principal_of, refusal_reason
from app.identity.principal import Principal
from app.keys import subjects
from app.keys.refusals import NoSuchKey
from app.policy.engine.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key. `refused` says why it is not accepted now, null when it is.

    `owner` is `org:<id>` for the key of an organization. `lost` are scopes that the owner had by role rows and has no
    longer: they count for nothing.
    """

    id: int
    owner: str
    environment: str
    scopes: list[str]
    lost: list[str]
    refused: str | None


async def known_key(
    sessions: Sessions, snapshot: Snapshot, key_id: int, environments: Collection[str]
) -> tuple[KeyState, Principal]:
    """The key with this id under a policy, and its principal. Raises NoSuchKey and CannotVerify."""
    found = await subjects.records(sessions, [key_id])
    if not found:
        raise NoSuchKey(f"There is no API key {key_id}.")
    (record,) = found
    refused = refusal_reason(record, environments, datetime.now(UTC)) or None
    principal = principal_of(record)
    lost = sorted(record.scopes - snapshot.in_force(principal.held))
    return KeyState(record.id, record.subject, record.environment, sorted(record.scopes), lost, refused), principal
