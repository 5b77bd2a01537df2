"""The authorization server of a deployment: its addresses and its use-cases."""

from __future__ import annotations

from dataclasses import dataclass

from app.oauth.exchange import TokenExchange


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """`issuer` is the public URL, byte for byte. `console` is the origin at which users sign in and consent."""

    issuer: str
    console: str
    exchange: TokenExchange
