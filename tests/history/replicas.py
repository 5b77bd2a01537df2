"""Several servers on one database, each with its own policy directory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from app.db.engine import LINE, open_engine
from tests.history.test_publish import PUBLISH, admin, body, files
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import Server

_numbers = count(1)


def replica(directory: Path, issuer: LiveIssuer, url: str, **settings: str) -> Server:
    """A replica that is not yet started."""
    directory.mkdir(parents=True)
    made = Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url, authorized_parties=PARTY, database_url=url)
    made.env |= {f"AUTHZ_{name.upper()}": value for name, value in settings.items()}
    return made


def another(server: Server) -> dict[str, str]:
    """The policy files of a server with another comment: a new revision with equal decisions."""
    found = files(server)
    return {**found, "catalog.csv": found["catalog.csv"].replace("# end\n", f"# {next(_numbers)}\n# end\n")}


def publish(server: Server, issuer: LiveIssuer, content: dict[str, str], **query: Any) -> dict[str, Any]:
    """Publish at one replica; return the answer."""
    with admin(server, issuer) as client:
        answer = client.post(PUBLISH, json=body(client, content), params=query)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def edit(server: Server, content: dict[str, str]) -> None:
    """Change the files of one replica."""
    for name, new in content.items():
        path = server.policy_dir / name
        if path.read_text() != new:
            path.write_text(new)


def served(server: Server) -> str:
    """The revision that a replica serves, by its health check."""
    revision: str = httpx.get(f"{server.url}/readyz").json()["checks"]["policy"]["revision"]
    return revision


def ask(url: str, *statements: str) -> list[Any]:
    """Run statements on PostgreSQL without a transaction; return the rows of the last."""

    async def run() -> list[Any]:
        engine = open_engine(url)
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            answers = [await connection.execute(text(statement)) for statement in statements]
            rows = [tuple(row) for row in answers[-1].all()] if answers[-1].returns_rows else []
        await engine.dispose()
        return rows

    return asyncio.run(run())


@contextmanager
def away(server_url: str, other_url: str) -> Iterator[None]:
    """Make a database of a PostgreSQL server unreachable while the block runs."""
    name = server_url.partition("@/")[2].partition("?")[0]
    ask(
        other_url,
        f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
    )
    try:
        yield
    finally:
        ask(other_url, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")


def cut_off(url: str) -> int:
    """End the connections on which servers listen for changes; return their number."""
    ended = ask(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = current_database() AND application_name = '{LINE}' AND pid <> pg_backend_pid()",
    )
    return len(ended)
