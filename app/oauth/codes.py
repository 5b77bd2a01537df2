"""Authorization codes: issues them, and exchanges one for the first tokens of a family."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.oauth import AppGrant, AuthorizationCode, Person, TokenFamily
from app.db.tables.oauth_clients import OAuthClient
from app.identity.oauth_tokens import has_shape, mint_token
from app.oauth.access_tokens import digest_of
from app.oauth.errors import OAuthError
from app.oauth.lifetimes import CODE, WRONG_VERIFIERS
from app.oauth.pkce import is_verifier_of
from app.oauth.token_families import begin_family, is_grant_ended

INVALID = "The code is invalid: it is unknown, expired, used, or for another app, redirect or verifier."


async def issue_code(
    session: AsyncSession,
    grant_id: int,
    *,
    redirect_uri: str,
    challenge: str,
    scopes: list[str],
    resource: str,
    now: datetime,
) -> str:
    """Store a new code of a consent and return it. Codes that expired unused are deleted."""
    unused = (col(AuthorizationCode.family_id).is_(None), col(AuthorizationCode.expires_at) <= now - CODE)
    await session.execute(delete(AuthorizationCode).where(*unused))
    code = mint_token("code")
    session.add(
        AuthorizationCode(
            grant_id=grant_id,
            digest=digest_of(code),
            redirect_uri=redirect_uri,
            challenge=challenge,
            scopes=scopes,
            resource=resource,
            expires_at=now + CODE,
        )
    )
    return code


async def redeem_code(
    session: AsyncSession, client_id: str, code: str, *, verifier: str, redirect_uri: str | None, now: datetime
) -> tuple[TokenFamily, str] | None:
    """The new family of a code with its refresh token; None if the code is not accepted, which is to be committed.

    A wrong verifier is counted. A second use ends the family of the first, if the app and the verifier are right:
    otherwise anyone with a code from a log could end it.
    """
    found = await _find(session, code)
    if found is None:
        return None
    row, grant, person, owner, is_app_disabled = found
    if owner != client_id:
        return None
    if not is_verifier_of(verifier, row.challenge):
        row.wrong_verifiers += 1
        return None
    if row.family_id is not None:
        family = await session.get_one(TokenFamily, row.family_id)
        family.revoked_at = family.revoked_at or now
        return None
    if row.wrong_verifiers >= WRONG_VERIFIERS or row.expires_at <= now or is_grant_ended(grant, person, now):
        return None
    if is_app_disabled or redirect_uri not in (None, row.redirect_uri):
        return None
    family, refresh_token = await begin_family(session, grant.id, row.scopes, row.resource, now)
    row.family_id = family.id
    return family, refresh_token


async def scopes_at(session: AsyncSession, grant_id: int, resource: str) -> frozenset[str]:
    """The scopes of a consent that its user allowed for a resource, or for one that this is below.

    Those that come from the codes that are stored: a code stays as long as the family of its tokens.
    """
    query = select(col(AuthorizationCode.resource), col(AuthorizationCode.scopes))
    found = await session.execute(query.where(col(AuthorizationCode.grant_id) == grant_id))
    return frozenset(
        scope for base, scopes in found if resource == base or resource.startswith(f"{base}/") for scope in scopes
    )


async def resource_of_code(session: AsyncSession, client_id: str, code: str) -> str | None:
    """The resource of a code of a client; None if there is no such code."""
    found = await _find(session, code)
    return found[0].resource if found is not None and found[3] == client_id else None


async def _find(session: AsyncSession, code: str) -> tuple[AuthorizationCode, AppGrant, Person, str, bool] | None:
    if not has_shape(code, "code"):
        return None
    query = (
        select(AuthorizationCode, AppGrant, Person, col(OAuthClient.client_id), col(OAuthClient.disabled_at))
        .join(AppGrant, col(AppGrant.id) == col(AuthorizationCode.grant_id))
        .join(OAuthClient, col(OAuthClient.id) == col(AppGrant.app_id))
        .join(Person, col(Person.id) == col(AppGrant.person_id))
        .where(col(AuthorizationCode.digest) == digest_of(code))
        .with_for_update(of=AuthorizationCode)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else (row[0], row[1], row[2], row[3], row[4] is not None)


def invalid_code() -> OAuthError:
    """The refusal of a code, which does not say why."""
    return OAuthError("invalid_grant", INVALID)
