"""The server of the abuse trial, with its callers and an owner of very many keys."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from app.db.engine import open_engine
from app.db.tables.base import table_of
from app.db.tables.keys import ApiKey
from app.settings import ServerName
from scripts.bench.measuring import cores
from scripts.bench.soak import family, memory
from tests.console.sessions import sign_in
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import AUTHZ, Server
from tests.support.trials.abuse_attacks import (
    CONNECTIONS,
    KNOWN,
    PATH,
    PROXY,
    Callers,
    batch,
    bearer,
    request,
    small_chunks,
)

SERVER_CORE, LOAD_CORE = cores()
KEYS = 50_000
_PAGES = 40
_BATCHES = 20
_OWNER = "user_of_many"
_INSERT_AT_ONCE = 1_000
_LATE = 2**33  # expiry of tokens


@contextmanager
def attacked(
    server: ServerName,
    place: Path,
    issuer: LiveIssuer,
    database: str,
    *,
    keys: int = KEYS,
    max_bytes: int = 0,
    own_core: bool = True,
) -> Iterator[tuple[Server, Callers]]:
    """A server with default limits, but for the size of the log, and its callers; on its own core to be measured."""
    pinned = ("taskset", "-c", str(SERVER_CORE), sys.executable) if own_core else ()
    command = (*pinned, str(AUTHZ), "serve", "--port", "0")
    with Server(
        place,
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        authorized_parties=PARTY,
        command=command,
        server=server,
        trusted_proxies=PROXY,
        database_url=database,
        console_client_id="console",
        console_url="http://127.0.0.1",
        decision_log_max_bytes=str(max_bytes),
    ) as started:
        yield started, _callers_of(started, issuer, keys)


def memory_of(server: Server) -> float:
    """The resident memory of a server and of all processes below it, in MB."""
    assert server.process
    return sum(memory(pid) for pid in family(server.process.pid))


def _callers_of(server: Server, issuer: LiveIssuer, keys: int) -> Callers:
    tokens = [issuer.token(sub=f"user_{n}", permissions=["catalog:read"], exp=_LATE) for n in range(CONNECTIONS)]
    known = issuer.token(sub=KNOWN, permissions=["catalog:read"], exp=_LATE)
    with server.client(known) as client:
        body = {"name": "known", "scopes": ["catalog:read"]}
        key = client.post("/api/v1/api-keys/", json=body).raise_for_status().json()["plaintext"]
    asyncio.run(_insert_keys(server.env["AUTHZ_DATABASE_URL"], keys))
    evaluator = issuer.token(permissions=["decisions:evaluate"], exp=_LATE)
    person = sign_in(server, "user_desk", ["keys:read"], seconds=86_400)
    return Callers(
        known=(request(PATH, bearer(known)), request(PATH, bearer(key))),
        reader=issuer.token(sub="user_reader", permissions=["decisions:read"], exp=_LATE),
        good=tuple(request(PATH, bearer(token)) for token in tokens),
        signed=known.rpartition(".")[0],
        batches=tuple(batch(evaluator) for _ in range(_BATCHES)),
        chunked=small_chunks(evaluator),
        own_pages=tuple(_pages(server, issuer.token(sub=_OWNER, exp=_LATE))),
        all_pages=tuple(
            request(f"/console/all-keys?sort={sort}&owner={subject}", {"Cookie": f"authz={person.token}"})
            for sort in ("newest", "oldest", "used", "expires")
            for subject in ("", _OWNER)
        ),
    )


def _pages(server: Server, token: str) -> Iterator[bytes]:
    """Requests for the first pages of an owner's keys."""
    path = "/api/v1/api-keys/"
    with server.client(token) as client:
        for _ in range(_PAGES):
            yield request(path, bearer(token))
            path = client.get(path).raise_for_status().links.get("next", {}).get("url", "")
            if not path:
                return


async def _insert_keys(url: str, count: int) -> None:
    engine = open_engine(url)
    now = datetime.now(UTC)
    rows = [
        {
            "subject": _OWNER,
            "name": f"key {number}",
            "environment": "live",
            "key_prefix": f"grd_live_{secrets.token_hex(4)}",
            "digest": secrets.token_bytes(32),
            "scopes": ["catalog:read"],
            "created_at": now,
        }
        for number in range(count)
    ]
    async with engine.begin() as connection:
        for start in range(0, count, _INSERT_AT_ONCE):
            await connection.execute(insert(table_of(ApiKey)), rows[start : start + _INSERT_AT_ONCE])
    await engine.dispose()
