"""The issuers that a deployment trusts: the one of the settings, and those of the active policy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from app.identity.issuer import SETTINGS, TrustedIssuer
from app.identity.issuers import IssuerRegistry
from app.identity.jwks import KeySet
from app.identity.jwt import JwtVerifier
from app.policy.engine.live import LivePolicy, Reload
from app.policy.language.fault import Fault
from app.policy.language.issuers import deployment_faults
from app.policy.language.load import Policy
from app.settings import Settings


def issuer_faults(settings: Settings) -> Callable[[Policy], list[Fault]]:
    """The check of a policy's issuers together with that of the settings."""
    return lambda policy: deployment_faults(policy.source, policy.issuers, settings.issuer)


def trust_issuers(
    settings: Settings, live: LivePolicy, jwt: JwtVerifier, span: Callable[[str], AbstractContextManager[object]]
) -> IssuerRegistry:
    """Have `jwt` verify the tokens of the trusted issuers, now and after each reload of the policy."""
    own = _own_issuer(settings)

    def new_key_set(issuer: TrustedIssuer) -> KeySet:
        owner = "" if issuer.name == SETTINGS else issuer.name
        return KeySet(issuer.jwks_url, max_stale_seconds=settings.jwks_max_stale_seconds, span=span, owner=owner)

    def follow(_: Reload | None = None) -> None:
        registry.replace((*own, *live.active.policy.issuers))

    registry = IssuerRegistry(new_key_set, jwt.trust)
    follow()
    live.on_reload(follow)
    return registry


def _own_issuer(settings: Settings) -> tuple[TrustedIssuer, ...]:
    if settings.issuer is None or settings.jwks_url is None:
        return ()
    own = TrustedIssuer(
        SETTINGS,
        settings.issuer,
        settings.jwks_url,
        settings.audience,
        settings.authorized_parties,
        skew_seconds=settings.clock_skew_seconds,
        organizations=settings.organizations,
        is_delegating=settings.delegated,
        own_clients=(*settings.own_clients, *((settings.console_client_id,) if settings.console_client_id else ())),
    )
    return (own,)
