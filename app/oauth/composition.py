"""Composes the parts of third-party apps for an application."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from app.db.disk import DiskSpace
from app.db.session import Sessions
from app.identity.access_token_verifier import AccessTokenVerifier
from app.keys.last_used import LastUsed
from app.oauth.access_tokens import access_token_lookup
from app.oauth.client_finder import ClientFinder
from app.oauth.consent import Consents
from app.oauth.document_clients import DocumentClients
from app.oauth.document_fetch import DocumentFetch
from app.oauth.exchange import TokenExchange
from app.oauth.grants import touch_grants
from app.oauth.resource import absolute_servers, resource_of
from app.oauth.server import AuthorizationServer
from app.policy.engine.live import LivePolicy
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class AppAccess:
    """The verifier of access tokens, and the record of when they were last used."""

    verifier: AccessTokenVerifier
    last_used: LastUsed


def app_access(settings: Settings, sessions: Sessions, disk: DiskSpace) -> AppAccess:
    """Verify the access tokens in a database. Their cache has the size and the bound of that of keys."""
    last_used = LastUsed(sessions, disk, touch=touch_grants, noun="the access of apps", limit=settings.key_cache_size)
    verifier = AccessTokenVerifier(
        access_token_lookup(sessions),
        cache_seconds=settings.key_cache_seconds,
        max_cached=settings.key_cache_size,
        on_accepted=last_used.note_use,
    )
    return AppAccess(verifier, last_used)


def authorization_server(
    issuer: str | None,
    console: str | None,
    live: LivePolicy,
    disk: DiskSpace,
    *,
    count_bad_secret: Callable[[str], int],
) -> AuthorizationServer | None:
    """The authorization server; None without a public address, or a console at which users sign in."""
    if issuer is None or console is None:
        return None

    def resource(requested: Collection[str]) -> str:
        return resource_of(requested, issuer, absolute_servers(live.active.policy.services))

    exchange = TokenExchange(disk, resource_of=resource, count_bad_secret=count_bad_secret)
    consents = Consents(issuer, live, ClientFinder(DocumentClients(DocumentFetch())), resource_of=resource)
    return AuthorizationServer(issuer, console, exchange, consents, resource)
