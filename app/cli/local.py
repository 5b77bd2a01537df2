"""What `authz dev` and `authz token` agree on."""

from __future__ import annotations

from pathlib import Path

from app.dev.issuer import Issuer
from app.dev.wire import Client

DATA_DIR = Path(".authz")
AUDIENCE = "griddy-api"
CONSOLE_CLIENT = "griddy-console"


def local_issuer(data_dir: Path) -> Issuer:
    """The local issuer, whose key lies in the data directory and is made when it is first needed."""
    return Issuer.load(data_dir / "issuer")


def console_client(url: str) -> Client:
    """The console that is served at this address, as a client of the local issuer."""
    return Client(CONSOLE_CLIENT, (f"{url}/console/callback",), (f"{url}/console/signed-out",))
