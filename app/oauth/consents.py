"""Looks up what users allowed apps, for questions about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import cast

import structlog
from sqlalchemy import select, tuple_
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.availability import RETRY_AFTER_SECONDS, error_name
from app.db.session import Sessions, read
from app.db.tables.oauth import AppGrant, Person
from app.db.tables.oauth_clients import OAuthClient
from app.identity.access_token_verifier import AppRecord
from app.identity.app_facts import AppKind
from app.identity.errors import CannotVerify
from app.identity.organization import from_json
from app.policy.engine.resolved_subject import AppConsent

UNAVAILABLE = "Consents cannot be looked up now."
_BATCH_SIZE = 250  # pairs in a statement
_Pair = tuple[str, str]  # the ids of an app and of a user
_log = structlog.stdlib.get_logger("oauth")


async def find_consents(sessions: Sessions, pairs: Collection[_Pair]) -> Mapping[_Pair, AppConsent]:
    """The consents of users to apps, if neither is disabled or blocked. Raises CannotVerify."""
    # No id has other characters, and PostgreSQL refuses NUL.
    known = sorted(pair for pair in set(pairs) if all(map(str.isprintable, pair)))
    found: dict[_Pair, AppConsent] = {}
    try:
        for start in range(0, len(known), _BATCH_SIZE):
            found |= await read(sessions, partial(_consents, known[start : start + _BATCH_SIZE]))
    except (SQLAlchemyError, OSError) as error:
        _log.error("the database did not answer a query about consents", error=error_name(error))
        raise CannotVerify(UNAVAILABLE, RETRY_AFTER_SECONDS) from None
    return found


async def _consents(pairs: Collection[_Pair], session: AsyncSession) -> dict[_Pair, AppConsent]:
    client_id, subject = col(OAuthClient.client_id), col(Person.subject)
    query = (
        select(
            client_id,
            subject,
            col(OAuthClient.kind),
            col(OAuthClient.host),
            col(AppGrant.scopes),
            col(Person.permissions),
            col(Person.organization),
        )
        .select_from(AppGrant)
        .join(OAuthClient, col(OAuthClient.id) == col(AppGrant.app_id))
        .join(Person, col(Person.id) == col(AppGrant.person_id))
        .where(tuple_(client_id, subject).in_(pairs), col(AppGrant.revoked_at).is_(None))
        .where(col(OAuthClient.disabled_at).is_(None), col(Person.blocked_at).is_(None))
    )
    return {
        (app_id, user): AppConsent(
            AppRecord(app_id, cast(AppKind, kind), host or ""),
            frozenset(scopes),
            frozenset(permissions),
            from_json(organization),
        )
        for app_id, user, kind, host, scopes, permissions, organization in await session.execute(query)
    }
