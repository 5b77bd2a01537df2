"""An API key that a request names by its id: what it is, and what it holds now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from app.http.wire.problems import Problem
from app.identity.api_keys import principal_of, refused_because
from app.identity.errors import CannotVerify
from app.identity.principal import Principal
from app.keys import subjects
from app.services import Services


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key. `refused` says why it is not accepted now, null when it is.

    `lost` are scopes that its owner had by role rows and has no longer: they count for nothing.
    """

    id: int
    owner: str
    environment: str
    scopes: list[str]
    lost: list[str]
    refused: str | None


async def known_key(services: Services, key_id: int) -> tuple[KeyState, Principal]:
    """The key with this id, and who calls with it. Raises Problem 404 when there is none, and 503."""
    try:
        found = await subjects.records(services.sessions, [key_id])
    except CannotVerify as fault:
        raise Problem(503, fault.detail, headers={"Retry-After": str(fault.retry_after)}) from None
    if not found:
        raise Problem(404, f"There is no API key {key_id}.")
    (record,) = found
    refused = refused_because(record, services.settings.key_environments, datetime.now(UTC)) or None
    principal = principal_of(record)
    lost = sorted(record.scopes - services.live.active.in_force(principal.held))
    return KeyState(record.id, record.subject, record.environment, sorted(record.scopes), lost, refused), principal
