"""`authz serve` on each kind of server."""

from __future__ import annotations

from pathlib import Path

from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import Server


def server_on(on: str, issuer: LiveIssuer, directory: Path, *, drain_seconds: str = "0") -> Server:
    """A server to start, with its own directory."""
    return Server(
        directory,
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        authorized_parties=PARTY,
        server=on,
        drain_seconds=drain_seconds,
    )
