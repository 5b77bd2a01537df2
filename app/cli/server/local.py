"""What `authz dev` and `authz token` agree on."""

from __future__ import annotations

from pathlib import Path

from app.dev.issuer import KEY_FILE, Issuer
from app.dev.wire import Client

DATA_DIR = Path(".authz")
ISSUER_PORT = 8001
AUDIENCE = "griddy-api"
CONSOLE_CLIENT = "griddy-console"


def local_issuer(data_dir: Path) -> Issuer:
    """The local issuer, whose key lies in the data directory and is made when it is first needed."""
    return Issuer.load(_directory(data_dir))


def has_issuer(data_dir: Path) -> bool:
    """Whether `authz dev` has made its issuer in the data directory."""
    return (_directory(data_dir) / KEY_FILE).exists()


def _directory(data_dir: Path) -> Path:
    return data_dir / "issuer"


def console_client(url: str) -> Client:
    """The console that is served at this address, as a client of the local issuer."""
    return Client(CONSOLE_CLIENT, (f"{url}/console/callback",), (f"{url}/console/signed-out",))
