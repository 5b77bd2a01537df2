"""`authz dev`: serves the API locally, with an issuer, SQLite and sample data."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app import logs
from app.cli.failure import explained
from app.cli.operator import operator
from app.cli.server.dev_mcp import copy_with_mcp_rows, serve_mcp, with_gateway_secret
from app.cli.server.limits import limits_of, raise_descriptor_limit
from app.cli.server.listening import bind, say_listening, url_of
from app.cli.server.local import (
    AUDIENCE,
    CONSOLE_CLIENT,
    DATA_DIR,
    DATABASE,
    ISSUER_PORT,
    console_client,
    default_permissions,
    local_issuer,
    permissions_of,
)
from app.cli.server.on_uvicorn import serve_in_thread
from app.cli.server.run import serve
from app.cli.server.things_to_try import Credentials, own_commands, sample_commands, things_to_try
from app.settings import Settings, load
from app.settings_variables import PREFIX, read_variables

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.audit.actor import Actor

_SUBJECT = "user_alice"
_KEY_NAME = "authz dev"
_UNUSED = ("workers", "worker_timeout_seconds", "log_level")  # it is one process, which logs for a terminal


@click.command("dev")
@click.option("--host", help="Address to listen on; AUTHZ_HOST, else 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the API; AUTHZ_PORT, else 8000.")
@click.option(
    "--issuer-port", default=ISSUER_PORT, show_default=True, type=click.IntRange(0, 65535), help="Port of the issuer."
)
@click.option(
    "--data-dir",
    default=DATA_DIR,
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the database and the issuer's key are kept.",
)
@click.option("--policy-dir", type=click.Path(path_type=Path), help="AUTHZ_POLICY_DIR, else policies.")
@click.option(
    "--mcp",
    is_flag=True,
    help="Serve a sample MCP server too, under a copy of the policy with its rows, and let apps register themselves.",
)
@explained
def dev_command(
    host: str | None, port: int | None, issuer_port: int, data_dir: Path, policy_dir: Path | None, *, mcp: bool
) -> None:
    """Serve the API locally, with an issuer and sample data, and print things to try.

    Example: authz dev --port 9000 --issuer-port 9001
    """
    raise_descriptor_limit()
    logs.configure("info", "console")
    from app.asgi import build_app
    from app.dev.mcp_server import PATH as MCP_PATH
    from app.dev.people import PEOPLE, SampleUser, people_of
    from app.dev.provider import Provider
    from app.dev.sample_app import SampleApp

    chosen = {"host": host, "port": port, "policy_dir": policy_dir}
    issuer = local_issuer(data_dir)
    with bind("127.0.0.1", issuer_port, option="--issuer-port") as issuer_listener:
        issuer_url = url_of(issuer_listener)
        own = {
            "database_url": f"sqlite:///{data_dir / DATABASE}",
            "issuer": issuer_url,
            "audience": AUDIENCE,
            "organizations": "clerk",
            "jwks_url": f"{issuer_url}/.well-known/jwks.json",
            "log_format": "console",
            "console_client_id": CONSOLE_CLIENT,
            "console_url": "http://127.0.0.1",  # until the port is known
            "public_url": "http://127.0.0.1",  # likewise
        }
        if mcp:
            own["app_registration"] = "true"
        _name_ignored((*own, *_UNUSED))
        settings = load(**own, **{name: value for name, value in chosen.items() if value is not None})
        if mcp and not settings.sample_api:
            raise click.UsageError("--mcp serves the sample API, which AUTHZ_SAMPLE_API=false leaves out.")
        if mcp:
            copy = copy_with_mcp_rows(settings.policy_dir, data_dir)
            settings, secret = with_gateway_secret(settings.model_copy(update={"policy_dir": copy}))
        # The redirect of an app on a device has any port, so any free one will do.
        with bind(settings.host, settings.port) as listener, bind("127.0.0.1", 0) as app_listener:
            console_url = _browsers_reach(settings.host, listener.getsockname()[1])
            settings = settings.model_copy(update={"console_url": console_url, "public_url": console_url})
            scopes, routes = default_permissions(settings), _own_routes(settings)
            key, client_id = asyncio.run(_prepare(settings.database_url, scopes, with_sample=settings.sample_api))
            sample = SampleApp(client_id, url_of(app_listener), console_url)
            people: tuple[SampleUser, ...] = PEOPLE
            if not settings.sample_api:
                sample.scope, sample.calls = " ".join(scopes), routes[:2]
                people = people_of(scopes, permissions_of("role:editor", settings.policy_dir))
            app = asyncio.run(build_app(settings, files_win=True))
            if mcp:
                app = serve_mcp(app, secret, settings.database_url)
            provider = Provider(issuer, issuer_url, AUDIENCE, [console_client(console_url)], people)
            token = issuer.mint(_SUBJECT, scopes, issuer=issuer_url, audience=AUDIENCE, ttl_seconds=3600)
            mints = _mints_tokens(issuer_listener.getsockname()[1], data_dir)
            api = url_of(listener)
            credentials = Credentials(token, key, scopes, mints)
            addresses = {
                settings.api_title: (api, f"documentation: {api}/docs"),
                "Console": (f"{console_url}/console", ""),
                "Local issuer": (issuer_url, f"{mints} prints its tokens"),
                "Sample app": (sample.url, "open it, and allow it to act for a sample user"),
                **(_mcp_address(f"{console_url}{MCP_PATH}" if mcp else None) if settings.sample_api else {}),
                "Database": (
                    _assignment(data_dir),
                    "in front of `authz apps`, `keys`, `people`, `audit` and `decisions`",
                ),
                "Policy": (f"{settings.policy_dir}/", "edit a row, save, and the next request obeys it"),
            }
            commands = sample_commands(api) if settings.sample_api else own_commands(credentials, routes, api)
            text = things_to_try(addresses, credentials, commands)

            def started() -> None:
                say_listening(listener, None)
                click.echo(text)

            with serve_in_thread(provider.app, issuer_listener), serve_in_thread(sample.app, app_listener):
                serve(
                    app,
                    listener,
                    started,
                    drain_seconds=settings.drain_seconds,
                    limits=limits_of(settings),
                    server=settings.server,
                )


def _name_ignored(names: Collection[str]) -> None:
    ignored = [name for name in read_variables() if name.removeprefix(PREFIX).lower() in names]
    if ignored:
        click.echo(f"authz: {', '.join(ignored)}: not used by `authz dev`, which has its own.", err=True)


def _mints_tokens(issuer_port: int, data_dir: Path) -> str:
    """The command that prints tokens of this issuer."""
    port = "" if issuer_port == ISSUER_PORT else f" --issuer-port {issuer_port}"
    where = "" if data_dir == DATA_DIR else f" --data-dir {shlex.quote(str(data_dir))}"
    return f"authz token{port}{where}"


def _assignment(data_dir: Path) -> str:
    """The variable with which a command finds the database from any directory."""
    return f"AUTHZ_DATABASE_URL={shlex.quote(f'sqlite:///{(data_dir / DATABASE).resolve()}')}"


def _mcp_address(address: str | None) -> dict[str, tuple[str, str]]:
    return {"MCP server": (address, "for an MCP client") if address else ("start with --mcp to try an MCP client", "")}


def _own_routes(settings: Settings) -> list[str]:
    """The templates of the handlers at AUTHZ_ROUTES that can be read and have no parameter."""
    from app.cli.routes import route_table
    from app.http import declared_routes

    if settings.routes is None:
        return []
    application = declared_routes.route_table(sample=False)
    found = [route.template for route in route_table().routes if route.method == "GET" and route not in application]
    return [template for template in found if "{" not in template and "*" not in template]


async def _prepare(database_url: str, scopes: list[str], *, with_sample: bool) -> tuple[str, str]:
    """Migrate, load the sample data, issue a key for the commands that are printed, and register the sample app.

    Returns the plaintext of the key, and the id of the app.
    """
    from app.db.engine import open_engine
    from app.db.migrate import upgrade
    from app.db.session import sessions_of
    from app.griddy import sample
    from app.griddy.tables import presence
    from app.identity.api_keys import mint
    from app.keys import api_keys
    from app.keys.admin_log import record_issue
    from app.keys.revocations import revoke_key

    await upgrade(database_url, presence.provide if with_sample else presence.leave_out)
    engine = open_engine(database_url)
    now, by = datetime.now(UTC), operator()
    try:
        async with sessions_of(engine)() as session:
            if with_sample:
                await sample.load(session)
            # The key of an earlier run is useless, since it was shown once.
            known = await api_keys.list_for(session, _SUBJECT)
            await session.commit()
            for old in known:
                if old.name == _KEY_NAME and old.revoked_at is None:
                    await revoke_key(session, old.id, by, now)
            new = mint("live")
            row = await api_keys.insert(
                session, subject=_SUBJECT, name=_KEY_NAME, new=new, scopes=scopes, now=now, token_grants=scopes
            )
            record_issue(session, by, row, now)
            await session.commit()
            client_id = await _sample_app(session, by, now)
    finally:
        await engine.dispose()
    return new.plaintext, client_id


async def _sample_app(session: AsyncSession, by: Actor, now: datetime) -> str:
    """The id of the sample app, which is registered once in a data directory."""
    from app.dev.sample_app import NAME, REDIRECT
    from app.oauth.app_list import AppFilter, page_of_apps
    from app.oauth.app_order import AppOrder
    from app.oauth.registry import register_app

    for known in await page_of_apps(
        session, AppFilter(kind="registered", status="enabled"), now, before=None, limit=100
    ):
        if known.name == NAME and known.redirect_uris == [REDIRECT]:
            return known.client_id
    await session.rollback()
    return (await register_app(session, AppOrder(NAME, [REDIRECT]), by, now)).app.client_id


def _browsers_reach(host: str, port: int) -> str:
    """The address of the console on this machine: without TLS its cookie is only for a loopback host."""
    loopback = host if host in ("127.0.0.1", "localhost") else "127.0.0.1"
    return f"http://[::1]:{port}" if host in ("::1", "::") else f"http://{loopback}:{port}"
