"""`authz serve`: serves the API in production."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import get_args

import rich_click as click

from app import logs
from app.cli.failure import explained, fail
from app.cli.policy.directory import directory_fault
from app.cli.server.limits import limits_of, raise_descriptor_limit
from app.cli.server.listening import STOP_SECONDS, bind, read_tls, say_listening
from app.cli.server.run import serve
from app.cli.server.run_directory import remove, run_directory
from app.cli.server.thread_slices import use_short_slices
from app.cli.server.workers import WorkerSupervisor
from app.hangup import hangup
from app.policy.gc_control import long_lived_build, shorten_collections, use_one_heap
from app.settings import ServerName, load


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
@click.option(
    "--workers", metavar="N|auto", help="Processes that serve, `auto` for one on each core; AUTHZ_WORKERS, else 1."
)
@click.option("--server", type=click.Choice(get_args(ServerName)), help="AUTHZ_SERVER, else uvicorn.")
@explained
def serve_command(
    host: str | None,
    port: int | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    workers: str | None,
    *,
    server: ServerName | None,
) -> None:
    """Serve the API.

    Needs AUTHZ_JWKS_URL, AUTHZ_ISSUER, AUTHZ_AUDIENCE or AUTHZ_AUTHORIZED_PARTIES, a database that
    `authz db upgrade` has prepared, and a policy without faults; otherwise it reports what is wrong and does not start.

    Example: AUTHZ_ISSUER=https://clerk.example.com AUTHZ_AUDIENCE=griddy
    AUTHZ_JWKS_URL=https://clerk.example.com/.well-known/jwks.json authz serve --port 8080

    With TLS: authz serve --tls-certificate fullchain.pem --tls-key privkey.pem

    On four cores: authz serve --workers 4
    """
    hangup.install()
    raise_descriptor_limit()
    if (tls_certificate is None) != (tls_key is None):
        raise click.UsageError("give --tls-certificate and --tls-key together.")
    pair = read_tls(tls_certificate, tls_key) if tls_certificate and tls_key else None
    given = {"host": host, "port": port, "workers": workers, "server": server}
    settings = load(**{name: value for name, value in given.items() if value is not None})
    logs.configure(settings.log_level, settings.log_format)
    if fault := directory_fault(settings.policy_dir):
        fail(f"AUTHZ_POLICY_DIR: {fault}.")
    use_one_heap()
    use_short_slices()
    shorten_collections()
    with (
        long_lived_build()
    ):  # what is imported stays: to look through it for garbage would take a tenth of the time to start
        from app.asgi import build_app
        from app.db.engine import is_embedded
        from app.db.migrate import schema_fault
        from app.griddy.tables.presence import FIRST

    if fault_of_schema := asyncio.run(schema_fault(settings.database_url, FIRST if settings.sample_api else None)):
        fail(fault_of_schema)

    run = partial(
        serve, tls=pair, drain_seconds=settings.drain_seconds, server=settings.server, limits=limits_of(settings)
    )
    files_win = is_embedded(settings.database_url)
    if settings.workers == 1:
        app = asyncio.run(build_app(settings, files_win=files_win))
        run(app, bind(settings.host, settings.port))
        return
    with run_directory() as shared:
        app = asyncio.run(build_app(settings, files_win=files_win))
        listener = bind(settings.host, settings.port)

        def work(first: bool, started: Callable[[], None]) -> None:
            # A replacement takes the newest policy: outdated files must not count as an edit then.
            run(app if first else asyncio.run(build_app(settings, files_win=False)), listener, started)

        supervisor = WorkerSupervisor(
            settings.workers,
            listener,
            work,
            started=lambda: say_listening(listener, pair, workers=settings.workers),
            abandoned=lambda: remove(shared),
            stop_seconds=settings.drain_seconds + STOP_SECONDS,
            hung_seconds=settings.worker_timeout_seconds,
        )
        logs.stream.start()  # to go on while no reader reads the log
        try:
            have_started = supervisor.run()
        finally:
            logs.stream.stop()
        if not have_started:
            fail("the workers did not start; the log above says why.")
    if supervisor.ended_by is not None:
        signal.raise_signal(supervisor.ended_by)  # to end as one process does
