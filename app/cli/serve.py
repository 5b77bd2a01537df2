"""`authz serve`: the API, for production."""

from __future__ import annotations

import asyncio
from pathlib import Path

import rich_click as click

from app import logs
from app.cli.failure import explained, fail
from app.cli.run import bind, read_tls, serve
from app.settings import load


@click.command("serve")
@click.option("--host", help="Address to listen on; AUTHZ_HOST, else 127.0.0.1.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on; AUTHZ_PORT, else 8000. 0 takes a free one."
)
@click.option(
    "--tls-certificate",
    type=click.Path(path_type=Path),
    help="Serve HTTPS with this certificate and its chain, in PEM.",
)
@click.option("--tls-key", type=click.Path(path_type=Path), help="The certificate's private key, in PEM.")
@explained
def serve_command(host: str | None, port: int | None, tls_certificate: Path | None, tls_key: Path | None) -> None:
    """Serve the API.

    Needs AUTHZ_JWKS_URL, AUTHZ_ISSUER and AUTHZ_AUDIENCE, a database that `authz db upgrade` has prepared,
    and a policy without faults; otherwise it says what is wrong and does not start.

    Example: AUTHZ_ISSUER=https://clerk.example.com AUTHZ_AUDIENCE=griddy
    AUTHZ_JWKS_URL=https://clerk.example.com/.well-known/jwks.json authz serve --port 8080

    With a certificate of its own: authz serve --tls-certificate fullchain.pem --tls-key privkey.pem
    """
    if (tls_certificate is None) != (tls_key is None):
        raise click.UsageError("give --tls-certificate and --tls-key together.")
    pair = read_tls(tls_certificate, tls_key) if tls_certificate and tls_key else None
    given = {"host": host, "port": port}
    settings = load(**{name: value for name, value in given.items() if value is not None})
    logs.configure(settings.log_level, settings.log_format)
    from app.asgi import create_app
    from app.db.migrate import at_head
    from app.history.settle import settle

    if not asyncio.run(at_head(settings.database_url)):
        fail("the database is not prepared for this version: run `authz db upgrade`.")
    asyncio.run(settle(settings.database_url, settings.policy_dir))
    app = create_app(settings)
    serve(app, bind(settings.host, settings.port), tls=pair)
