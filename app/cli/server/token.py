"""`authz token`: prints a JWT of the local issuer."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from app.cli.failure import explained, fail
from app.cli.server.local import AUDIENCE, DATA_DIR, ISSUER_PORT, default_permissions, has_issuer, local_issuer
from app.dev.issuer import JWKS_PATH
from app.dev.people import SampleMembership


@click.command("token")
@click.option("--sub", "subject", default="user_alice", show_default=True, help="Whose token: its `sub`.")
@click.option(
    "--permissions",
    help="Its permissions, separated by spaces; an empty text for none. By default those of `authz dev`'s own token.",
)
@click.option("--org", help="The id of the organization that the user is signed in to, such as org_acme.")
@click.option("--org-permissions", default="", help="With --org: the user's permissions in it, separated by spaces.")
@click.option("--org-role", help="With --org: the user's role in it; `member` if it is not stated.")
@click.option("--act", "actor", help="The `sub` of a party that acts as the user: the token has an `act` claim.")
@click.option("--ttl", default=3600, show_default=True, type=click.IntRange(1, 86400), help="Its life, in seconds.")
@click.option(
    "--issuer-port",
    default=ISSUER_PORT,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="The port of the issuer that `authz dev` runs.",
)
@click.option(
    "--data-dir", default=DATA_DIR, show_default=True, type=click.Path(path_type=Path), help="As for `authz dev`."
)
@explained
def token_command(
    *,
    subject: str,
    permissions: str | None,
    org: str | None,
    org_permissions: str,
    org_role: str | None,
    actor: str | None,
    ttl: int,
    issuer_port: int,
    data_dir: Path,
) -> None:
    """Print a JWT that `authz dev` accepts.

    Example: curl -H "Authorization: Bearer $(authz token --permissions 'decisions:read audit:read')"
    http://127.0.0.1:8000/api/v1/decisions/

    A member of an organization: authz token --org org_acme --org-permissions org-keys:write
    """
    for option, given in (("--org-permissions", org_permissions), ("--org-role", org_role)):
        if given and not org:
            raise click.UsageError(f"{option} needs --org.")
    if not has_issuer(data_dir):
        fail(f"there is no issuer in {data_dir}: run this where `authz dev` was started, or name its --data-dir.")
    issuer = local_issuer(data_dir)
    url = f"http://127.0.0.1:{issuer_port}"
    published = _published(url)
    if published is None:
        click.echo(f"authz: no issuer answers at {url}: start `authz dev`, or name its --issuer-port.", err=True)
    elif issuer.kid not in published:
        fail(
            f"the issuer at {url} is not the one in {data_dir}, and would not know this token: name the --data-dir of "
            "the one that runs, or the --issuer-port of the one in it."
        )
    claims: dict[str, object] = {}
    if org:
        claims.update(SampleMembership(org, "", org_role or "member", tuple(org_permissions.split())).claims)
    if actor:
        claims["act"] = {"sub": actor}
    granted = _default_permissions() if permissions is None else permissions.split()
    click.echo(issuer.mint(subject, granted, issuer=url, audience=AUDIENCE, ttl_seconds=ttl, **claims))


def _default_permissions() -> list[str]:
    from app.settings import load_local

    return default_permissions(load_local())


def _published(url: str) -> set[str] | None:
    """The ids of the keys that the issuer publishes; None if nothing listens at that address."""
    import httpx

    try:
        answer = httpx.get(url + JWKS_PATH, timeout=2, trust_env=False)
        return {str(key["kid"]) for key in answer.raise_for_status().json()["keys"]}
    except httpx.ConnectError:
        return None
    except (httpx.HTTPError, ValueError, KeyError, TypeError):  # another program uses that port
        return set()
