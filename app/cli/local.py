"""What `authz dev` and `authz token` agree on."""

from __future__ import annotations

from pathlib import Path

from app.dev.issuer import Issuer

DATA_DIR = Path(".authz")
AUDIENCE = "griddy-api"


def local_issuer(data_dir: Path) -> Issuer:
    """The local issuer, whose key lies in the data directory and is made when it is first needed."""
    return Issuer.load(data_dir / "issuer")
