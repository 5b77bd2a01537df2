"""The local issuer and the defaults that `authz dev` and `authz token` share."""

from __future__ import annotations

from pathlib import Path

from app.dev.issuer import KEY_FILE, Issuer
from app.dev.wire import RelyingParty

DATA_DIR = Path(".authz")
DATABASE = "authz.db"
ISSUER_PORT = 8001
AUDIENCE = "griddy-api"
CONSOLE_CLIENT = "griddy-console"


def local_issuer(data_dir: Path) -> Issuer:
    """The local issuer, whose key in the data directory is created on first use."""
    return Issuer.load(_directory(data_dir))


def has_issuer(data_dir: Path) -> bool:
    """Whether the data directory has an issuer of `authz dev`."""
    return (_directory(data_dir) / KEY_FILE).exists()


def _directory(data_dir: Path) -> Path:
    return data_dir / "issuer"


def console_client(url: str) -> RelyingParty:
    """The console that is served at this address, as a client of the local issuer."""
    return RelyingParty(CONSOLE_CLIENT, (f"{url}/console/callback",), (f"{url}/console/signed-out",))
