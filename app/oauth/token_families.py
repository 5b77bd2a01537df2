"""Families of tokens: those that come from one code. A refresh token of an app without a secret is used once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.oauth import AppGrant, Person, RefreshToken, TokenFamily
from app.db.tables.oauth_clients import OAuthClient
from app.identity.oauth_tokens import has_shape, mint_token
from app.identity.token_format import DIGITS
from app.oauth.access_tokens import digest_of
from app.oauth.lifetimes import FAMILIES, KEPT, REFRESH_ABSOLUTE, REFRESH_IDLE, ROTATION_GRACE, SIBLINGS, UNSEEN

# All refresh tokens of a family begin alike, with the prefix of the first: by its digits there an old one is recognised
# that is no longer stored. 64 random bits are too many to guess, and to end a family is all that they are good for; the
# other 128 are new in each token.
_SELECTOR_DIGITS = 16


@dataclass(frozen=True, slots=True)
class FamilyState:
    """A family with what it depends on."""

    family: TokenFamily
    grant: AppGrant
    client_id: str
    is_app_disabled: bool
    person: Person

    def is_ended(self, now: datetime) -> bool:
        """Whether nothing more is issued to this family."""
        return (
            self.family.revoked_at is not None
            or self.family.refreshed_at + REFRESH_IDLE <= now
            or self.family.created_at + REFRESH_ABSOLUTE <= now
            or is_grant_ended(self.grant, self.person, now)
            or self.is_app_disabled
        )


@dataclass(frozen=True, slots=True)
class TokenRotation:
    """What a refresh token is worth: accepted or not, and the new refresh token, if there is one."""

    accepted: bool
    refresh_token: str | None = field(default=None, repr=False)


def is_grant_ended(grant: AppGrant, person: Person, now: datetime) -> bool:
    """Whether a consent was revoked, or its user is blocked or was not seen for too long."""
    seen = person.signed_in_at
    return grant.revoked_at is not None or person.blocked_at is not None or seen is None or seen + UNSEEN <= now


async def begin_family(
    session: AsyncSession, grant_id: int, scopes: list[str], resource: str, now: datetime
) -> tuple[TokenFamily, str]:
    """Store a new family, and return it with its first refresh token. Beyond the limit the oldest one ends."""
    ended = (col(TokenFamily.grant_id) == grant_id, col(TokenFamily.revoked_at) <= now - KEPT)
    await session.execute(delete(TokenFamily).where(*ended), execution_options={"synchronize_session": False})
    own = (col(TokenFamily.grant_id) == grant_id, col(TokenFamily.revoked_at).is_(None))
    others = (await session.scalars(select(TokenFamily).where(*own).order_by(col(TokenFamily.id).desc()))).all()
    for old in others[FAMILIES - 1 :]:
        old.revoked_at = now
    token = mint_token("refresh")
    family = TokenFamily(
        grant_id=grant_id,
        selector=digest_of(_selector_of(token)),
        scopes=scopes,
        resource=resource,
        rotated_at=now,
        created_at=now,
        refreshed_at=now,
    )
    session.add(family)
    await session.flush()
    session.add(RefreshToken(family_id=family.id, digest=digest_of(token), generation=0))
    return family, token


async def find_family(session: AsyncSession, token: str) -> FamilyState | None:
    """The family of a refresh token, locked until the end of the transaction; None if there is none."""
    if not has_shape(token, "refresh"):
        return None
    query = (
        select(TokenFamily, AppGrant, col(OAuthClient.client_id), col(OAuthClient.disabled_at), Person)
        .join(AppGrant, col(AppGrant.id) == col(TokenFamily.grant_id))
        .join(OAuthClient, col(OAuthClient.id) == col(AppGrant.app_id))
        .join(Person, col(Person.id) == col(AppGrant.person_id))
        .where(col(TokenFamily.selector) == digest_of(_selector_of(token)))
        .with_for_update(of=TokenFamily)
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        return None
    family, grant, client_id, disabled_at, person = row
    return FamilyState(family, grant, client_id, disabled_at is not None, person)


async def rotate(
    session: AsyncSession, family: TokenFamily, token: str, now: datetime, *, keeps: bool
) -> TokenRotation:
    """Use a refresh token of a family that `find_family` locked and that has not ended.

    An app that `keeps` its refresh token uses the same one again. Otherwise it is replaced; within the grace the one
    before the current is accepted, too, as clients retry. Any older one was stolen or is a copy: the family ends.
    """
    given = (
        await session.scalars(select(RefreshToken).where(col(RefreshToken.digest) == digest_of(token)))
    ).one_or_none()
    age = None if given is None else family.generation - given.generation
    if age == 0:
        family.refreshed_at = now
        if keeps:
            return TokenRotation(accepted=True)
        family.generation += 1
        family.siblings, family.rotated_at = 0, now
        old = (col(RefreshToken.family_id) == family.id, col(RefreshToken.generation) < family.generation - 1)
        await session.execute(delete(RefreshToken).where(*old))
    elif age == 1 and now < family.rotated_at + ROTATION_GRACE:
        if family.siblings >= SIBLINGS:
            return TokenRotation(accepted=False)
        family.siblings += 1
    else:
        family.revoked_at = now
        return TokenRotation(accepted=False)
    new = _selector_of(token) + secrets.token_hex((DIGITS - _SELECTOR_DIGITS) // 2)
    session.add(RefreshToken(family_id=family.id, digest=digest_of(new), generation=family.generation))
    return TokenRotation(accepted=True, refresh_token=new)


def _selector_of(token: str) -> str:
    return token[: len(token) - DIGITS + _SELECTOR_DIGITS]
