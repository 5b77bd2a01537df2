"""Verification of the access tokens of third-party apps against the database, with a cache."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Unpack

from app.identity.app_facts import AppKind, InvalidApp
from app.identity.credential_cache import CacheOptions, CredentialCache, CredentialState
from app.identity.errors import AuthenticationFault, Cause, Unauthenticated
from app.identity.oauth_tokens import has_shape
from app.identity.organization import Organization
from app.identity.principal import ANONYMOUS, Principal, delegated_principal
from app.identity.token_format import current


@dataclass(frozen=True, slots=True)
class AccessTokenCredential:
    """The access token of a request: its digest."""

    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AppRecord:
    """The app that a token belongs to. `host` is empty if it has none."""

    client_id: str
    kind: AppKind
    host: str


@dataclass(frozen=True, slots=True)
class AccessTokenRecord:
    """A stored access token, and what it depends on.

    `scopes` are those that the user consented to, `permissions` and `organization` those of the user's last sign-in.
    `is_ended` says that the token, its family, the consent, the app or the user was ended. `tags` name all of these.
    """

    grant_id: int
    tags: tuple[str, ...]
    subject: str
    app: AppRecord
    scopes: frozenset[str]
    permissions: frozenset[str]
    resource: str
    expires_at: datetime
    is_ended: bool
    organization: Organization | None = None


class AccessTokenVerifier:
    """Verifies access tokens, through `cache`, which explains the arguments that it shares.

    `on_accepted` is called with the id of the consent of each accepted token.
    """

    def __init__(
        self,
        find: Callable[[bytes], Awaitable[AccessTokenRecord | None]],
        **options: Unpack[CacheOptions],
    ) -> None:
        self.cache: CredentialCache[AccessTokenCredential, AccessTokenRecord] = CredentialCache(
            find,
            _state_of,
            unknown=Cause.UNKNOWN_APP_TOKEN,
            expired=AuthenticationFault.EXPIRED,
            **options,
        )
        # Without a further call, since every request with a token passes here.
        self.cached = self.cache.cached
        self.invalidate = self.cache.invalidate
        self.invalidate_all = self.cache.invalidate_all

    async def look_up(self, credential: AccessTokenCredential) -> Principal:
        """The principal of a token that is not cached. Raises Unauthenticated, and what `find` raises."""
        return await self.cache.look_up(credential)

    @staticmethod
    def parse(token: str) -> AccessTokenCredential:
        """Parse a token of an app. Raises Unauthenticated if it is malformed, or another token than for access."""
        if has_shape(token, "access"):
            return AccessTokenCredential(hashlib.sha256(token.encode()).digest())
        is_access = token.startswith(current().access_starts)
        raise Unauthenticated(Cause.MALFORMED_APP_TOKEN if is_access else Cause.NO_ACCESS_TOKEN)


def _state_of(record: AccessTokenRecord, _: AccessTokenCredential) -> CredentialState:
    fault: AuthenticationFault | Cause | None = AuthenticationFault.TOKEN_REVOKED if record.is_ended else None
    try:
        principal = delegated_principal(
            record.subject,
            record.app,
            record.scopes,
            record.permissions,
            expires_at=record.expires_at,
            resource=record.resource,
            organization=record.organization,
        )
    except InvalidApp:
        principal, fault = ANONYMOUS, fault or Cause.INVALID_APP
    return CredentialState(record.grant_id, record.tags, principal, fault, record.expires_at)
