"""`authz token`: a JWT of the local issuer."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from app.cli.failure import explained
from app.cli.local import AUDIENCE, DATA_DIR, local_issuer


@click.command("token")
@click.option("--sub", "subject", default="user_alice", show_default=True, help="Whose token: its `sub`.")
@click.option(
    "--permissions",
    default="catalog:read",
    show_default=True,
    help="Its permissions, parted by spaces; an empty text for none.",
)
@click.option("--ttl", default=3600, show_default=True, type=click.IntRange(1, 86400), help="Its life, in seconds.")
@click.option("--issuer-port", default=8001, show_default=True, help="The port of the issuer that `authz dev` runs.")
@click.option(
    "--data-dir", default=DATA_DIR, show_default=True, type=click.Path(path_type=Path), help="As for `authz dev`."
)
@explained
def token_command(subject: str, permissions: str, ttl: int, issuer_port: int, data_dir: Path) -> None:
    """Print a JWT that `authz dev` accepts.

    Example: curl -H "Authorization: Bearer $(authz token --permissions 'catalog:read holdings:read')"
    http://127.0.0.1:8000/api/v1/sources/
    """
    issuer = local_issuer(data_dir)
    click.echo(
        issuer.mint(
            subject,
            permissions.split(),
            issuer=f"http://127.0.0.1:{issuer_port}",
            audience=AUDIENCE,
            ttl_seconds=ttl,
        )
    )
