"""The local issuer and the defaults that `authz dev` and `authz token` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from app.dev.issuer import KEY_FILE, Issuer
from app.dev.wire import RelyingParty

if TYPE_CHECKING:
    from app.settings import LocalSettings

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


def default_permissions(settings: LocalSettings) -> list[str]:
    """The permissions with which to try the API: without the sample API those of viewers in the policy."""
    return ["catalog:read"] if settings.sample_api else permissions_of("role:viewer", settings.policy_dir)


def permissions_of(role: str, policy_dir: Path) -> list[str]:
    """The permissions that a role has in a policy. Raises PolicyRefused."""
    from app.policy.language.load import load
    from app.policy.language.roles import close

    policy = load(policy_dir)
    return sorted(close([role], policy.roles) & policy.catalog.keys())
