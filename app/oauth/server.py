"""The authorization server of a deployment: its addresses and its use-cases."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from app.oauth.consent import Consents
from app.oauth.exchange import TokenExchange


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """`issuer` is the public URL, byte for byte. `console` is the origin at which users sign in and consent.

    `resource_of` reads the `resource` parameters of a request.
    """

    issuer: str
    console: str
    exchange: TokenExchange
    consents: Consents
    resource_of: Callable[[Collection[str]], str]
