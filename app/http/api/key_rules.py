"""What holds for keys at every door: whose they are, what they may hold, and how one takes another's place."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.actor import Actor
from app.db.engine import LOCK_FIRST
from app.db.tables.fields import Integer, Moment, Name
from app.db.tables.keys import ApiKey
from app.http.door.refusal import FORBIDDEN
from app.http.wire.disk_reserve import check_room
from app.http.wire.problems import INVALID_BODY, Problem
from app.identity.api_keys import mint
from app.identity.principal import Principal
from app.keys import api_keys as stored
from app.keys.admin_log import record_issue, record_rotation
from app.keys.capacity import count_keys
from app.keys.status import ACCEPTED, is_accepted, status_of
from app.policy.engine.limited_scopes import token_grants
from app.services import Services

NOT_FOUND = "API key not found."
GRACE_SECONDS = 86_400
MAX_GRACE_SECONDS = 30 * 86_400
_LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # a later time is no number for some drivers


class IssueKey(BaseModel):
    """What a new key shall be."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    environment: Literal["live", "test"] = "live"
    scopes: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=200)] = []
    expires_at: Moment | None = None


class RotateKey(BaseModel):
    """How a key gives way to a new one: for how many seconds both are good, a day if nothing is said."""

    model_config = ConfigDict(extra="forbid")

    grace_seconds: Annotated[Integer, Field(ge=0, le=MAX_GRACE_SECONDS)] = GRACE_SECONDS


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key as its owner sees it: never its plaintext."""

    id: int
    name: str
    environment: str
    key_prefix: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    is_active: bool


def view_of(row: ApiKey, now: datetime) -> KeyView:
    """A key from the database, as it is at this moment."""
    return KeyView(
        id=row.id,
        name=row.name,
        environment=row.environment,
        key_prefix=row.key_prefix,
        scopes=list(row.scopes),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        is_active=is_accepted(row, now),
    )


async def issue(
    session: AsyncSession, services: Services, owner: Principal, wanted: IssueKey, now: datetime, *, by: Actor
) -> tuple[ApiKey, str]:
    """Store a new key and return it with its plaintext. Raises Problem 400, 403, 409, 429 and 503.

    `by` is the owner as the actor of the admin log.
    """
    check_room(services)
    if errors := faults_of(wanted, services, now):
        raise Problem(400, INVALID_BODY, errors)
    _check_held(wanted.scopes, services, owner)
    services.budgets.check_key_issue(owner.subject)
    most = services.settings.key_max_active
    if (await count_keys(session, owner.subject, now)).active >= most:
        raise Problem(409, f"You have {most} active API keys, the most that an owner may have: revoke one first.")
    new = mint(wanted.environment)
    row = await stored.insert(
        session,
        subject=owner.subject,
        name=wanted.name,
        new=new,
        scopes=wanted.scopes,
        now=now,
        expires_at=wanted.expires_at or latest_end(services, now),
        token_grants=_token_grants(wanted.scopes, services, owner),
    )
    record_issue(session, by, row, now)
    await session.commit()
    return row, new.plaintext


async def rotate(
    session: AsyncSession,
    services: Services,
    owner: Principal,
    key_id: int,
    *,
    grace_seconds: int,
    now: datetime,
    by: Actor,
) -> tuple[ApiKey, ApiKey, str]:
    """Store a new key in the place of one of the owner's: the old one, the new one and its plaintext.

    Both are good for `grace_seconds`, and a key is rotated once. The new one lives as long as the old one was issued
    for, without an end if that had none, but never longer than keys may live: what the old one lost by the rotation
    says nothing of it. All of it is one transaction; one that is under way has begun with a write. Raises Problem 403,
    404, 409, 429 and 503.
    """
    check_room(services)
    if not session.in_transaction():
        await session.connection(execution_options=LOCK_FIRST)
    before = await stored.get_for(session, owner.subject, key_id)
    if before is None:
        raise Problem(404, NOT_FOUND)
    await _check_rotatable(session, before, services, now)
    _check_held(before.scopes, services, owner)
    services.budgets.check_key_issue(owner.subject)
    if grace_seconds:
        await _check_superseded(session, services, owner, now)
    ends = _end_of_successor(before, latest_end(services, now), now)
    old = await stored.expire(session, owner.subject, key_id, now, now + timedelta(seconds=grace_seconds))
    if old is None:
        await session.refresh(before)
        await _check_rotatable(session, before, services, now)
        raise Problem(409, "This key was revoked a moment ago, so it has no successor: issue a new key.")
    new = mint(old.environment)
    row = await stored.insert(
        session,
        subject=owner.subject,
        name=old.name,
        new=new,
        scopes=old.scopes,
        now=now,
        expires_at=ends,
        token_grants=_token_grants(old.scopes, services, owner),
    )
    old.successor_id = row.id
    record_rotation(session, by, old, row, now, grace_seconds=grace_seconds)
    await session.commit()
    # What is remembered of the old key does not know when it ends now.
    services.verifier.forget(old.id)
    return old, row, new.plaintext


def faults_of(wanted: IssueKey, services: Services, now: datetime) -> Sequence[Mapping[str, str]]:
    """What a schema cannot know of a key: each a `field` and a `message`."""
    errors: list[Mapping[str, str]] = []
    live = services.live
    for scope in wanted.scopes:
        if scope not in live.active.policy.catalog:
            errors.append({"field": "scopes", "message": f"`{scope}` is not a permission of the catalogue"})
    if len(set(wanted.scopes)) < len(wanted.scopes):
        errors.append({"field": "scopes", "message": "a permission stands here twice"})
    if wanted.environment not in services.settings.key_environments:
        errors.append({"field": "environment", "message": f"keys for {wanted.environment} are not taken here"})
    if wanted.expires_at is not None and wanted.expires_at <= now:
        errors.append({"field": "expires_at", "message": "must be in the future"})
    latest = latest_end(services, now)
    if wanted.expires_at is not None and latest is not None and wanted.expires_at > latest:
        days = services.settings.key_max_days
        errors.append(
            {"field": "expires_at", "message": f"must be within {days} days, the most that a key may live here"}
        )
    return errors


def latest_end(services: Services, now: datetime) -> datetime | None:
    """When a key that is issued now ends at the latest; None where keys may be without an end."""
    days = services.settings.key_max_days
    return None if days is None else now + min(timedelta(days=days), _LATEST - now)


def _check_held(scopes: Sequence[str], services: Services, owner: Principal) -> None:
    """A key never holds more than its creator."""
    live = services.live
    if beyond := sorted(set(scopes) - live.active.effective(owner.held)):
        _, challenge = services.refusals.insufficient_scope(tuple(beyond))
        raise Problem(403, FORBIDDEN, headers={"WWW-Authenticate": challenge.decode()})


def _token_grants(scopes: Sequence[str], services: Services, owner: Principal) -> Collection[str]:
    """Of what the owner's token states now, what a key with these scopes remembers."""
    live = services.live
    return token_grants(owner.held, scopes, live.active.policy.roles)


async def _check_superseded(session: AsyncSession, services: Services, owner: Principal, now: datetime) -> None:
    """Rotated keys that are still valid do not count as active, but they are bounded as those are."""
    most = services.settings.key_max_active
    if (await count_keys(session, owner.subject, now)).superseded >= most:
        raise Problem(
            409,
            f"You have {most} rotated API keys that are still valid, the most that an owner may have: revoke one "
            "first, or rotate with `grace_seconds` 0.",
        )


async def successor_of(session: AsyncSession, key: ApiKey) -> ApiKey | None:
    """The key that took the place of one that was rotated, of the same owner."""
    return await stored.get_for(session, key.subject, key.successor_id) if key.successor_id is not None else None


def _end_of_successor(key: ApiKey, latest: datetime | None, now: datetime) -> datetime | None:
    """When the successor of a key expires: as long from now as the key was issued for, and no later than `latest`."""
    if key.expires_at is None:
        return latest
    ends = now + min(key.expires_at - key.created_at, _LATEST - now)
    return ends if latest is None else min(ends, latest)


async def _check_rotatable(session: AsyncSession, key: ApiKey, services: Services, now: datetime) -> None:
    live = services.live
    if successor := await successor_of(session, key):
        status = status_of(successor, now)
        then = "rotate that one" if status in ACCEPTED else f"it is {status}, so issue a new key"
        named = f"key {successor.id} ({successor.key_prefix}…)"
        raise Problem(409, f"This key was rotated before, and its successor is {named}: {then}.")
    if key.revoked_at is not None:
        raise Problem(409, "This key has been revoked, so it has no successor: issue a new key.")
    if key.expires_at is not None and key.expires_at <= now:
        raise Problem(409, "This key has expired, so it has no successor: issue a new key.")
    if key.environment not in services.settings.key_environments:
        raise Problem(409, f"Keys for {key.environment} are no longer taken here: issue a new key.")
    if gone := sorted(set(key.scopes) - set(live.active.policy.catalog)):
        raise Problem(409, f"No longer in the catalogue: {', '.join(gone)}. Issue a new key without.")
