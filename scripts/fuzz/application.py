"""The real application in this process, asked over ASGI: what a server would pass on, without the server."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from granian.asgi import LifespanProtocol
from litestar.types import ASGIApp

from app import logs
from app.asgi import build_app
from app.settings import load
from scripts.fuzz.signing import ISSUER, KEY, SUBJECT
from scripts.fuzz.target import Violation
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import AUDIENCE, DATABASE, ROOT, prepared_database

GATEWAY_SECRET = "only-the-gateways-of-a-test-know-this"
API_KEY = "grd_live_" + "0f" * 24
KEY_ID = 1
SERVICE = "orders"
_ROUTES = """\
openapi: 3.1.0
paths:
  /v1/orders: {get: {}, post: {}}
  /v1/orders/{id}: {get: {}, delete: {}}
  /v1/admin/{name}: {get: {}}
"""
_ROWS = """\
p, catalog:read, orders:/v1/orders/**, GET, allow
p, catalog:read, orders:/v1/orders/**, GET, deny, "params.id == 'secret' || has(subject.claims.blocked)"
p, catalog:write, orders:/v1/orders/**, POST|DELETE, allow
p, policies:write, orders:/v1/admin/{name}, GET, allow
p, anyone, record, read, allow, "resource.properties.status == 'open' && !context.tags.exists(t, t == 'x')"
p, user:alice, record, write, allow, "context.size * 2 < 100 && resource.id.startsWith('r')"
# end
"""
_ENTITIES = """\
subjects:
  - {type: user, id: alice, properties: {permissions: [catalog:read], team: red}}
resources:
  - {type: record, id: record-1, properties: {status: open}}
# end
"""
# What the policy has beside the files that ship.
MORE_FILES = {f"upstreams/{SERVICE}.openapi.yaml": _ROUTES, "orders.csv": _ROWS, "entities/records.yaml": _ENTITIES}
_ANSWER_SECONDS = 60.0
_SETTLE_EVERY = 500  # questions, after which background tasks have a turn
_SETTLE_SECONDS = 0.05
_IDLE_SECONDS = 0.5  # between two questions: whatever waits in the loop has then waited for too long


@dataclass(frozen=True, slots=True)
class Question:
    """A request as ASGI has it, with its body in the pieces that arrive."""

    method: str
    target: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as ASGI has it."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        """The values of a header."""
        return [value for each, value in self.headers if each.lower() == name]

    @property
    def is_html(self) -> bool:
        """Whether it is a page for people."""
        return any(value.startswith(b"text/html") for value in self.values(b"content-type"))


class Application:
    """Asks the application, and raises Violation for what is logged as an error meanwhile."""

    def __init__(self, app: ASGIApp, loop: asyncio.AbstractEventLoop, errors: list[str]) -> None:
        self._app: Any = app
        self._loop = loop
        self._errors = errors
        self._asked = 0
        self._last = time.monotonic()

    def ask(self, question: Question) -> Answer:
        """The answer. Raises Violation when there is none, or more than one."""
        self._asked += 1
        if time.monotonic() - self._last > _IDLE_SECONDS:
            # Other targets had their turn: a timeout that comes of it is no fault of the application.
            self._settle()
            self._errors.clear()
        elif self._asked % _SETTLE_EVERY == 0:
            self._settle()
        answer = self._loop.run_until_complete(self._answer(question))
        self._last = time.monotonic()
        if self._errors:
            message = self._errors[0]
            self._errors.clear()
            raise Violation(f"logged as an error: {message}")
        return answer

    def _settle(self) -> None:
        self._loop.run_until_complete(asyncio.sleep(_SETTLE_SECONDS))

    async def _answer(self, question: Question) -> Answer:
        pieces = list(question.body) or [b""]
        sent: list[Mapping[str, Any]] = []
        is_answered = asyncio.Event()

        async def receive() -> Mapping[str, Any]:
            if not pieces:
                await is_answered.wait()
                return {"type": "http.disconnect"}
            body = pieces.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(pieces)}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                is_answered.set()

        async with asyncio.timeout(_ANSWER_SECONDS):
            await self._app(_scope(question), receive, send)
        starts = [message for message in sent if message["type"] == "http.response.start"]
        bodies = [message for message in sent if message["type"] == "http.response.body"]
        if len(starts) != 1 or sent[0] is not starts[0] or not bodies or bodies[-1].get("more_body", False):
            raise Violation(f"no single, complete answer: {[message['type'] for message in sent]}")
        body = b"".join(message.get("body", b"") for message in bodies)
        return Answer(starts[0]["status"], list(starts[0]["headers"]), body)


def _scope(question: Question) -> dict[str, Any]:
    raw_path, _, query = question.target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": question.method,
        "scheme": "http",
        "path": _decoded(raw_path),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": list(question.headers),
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8000),
        "extensions": {},
        "state": {},
    }


def _decoded(raw: bytes) -> str:
    """As servers do: what is no UTF-8 becomes replacement characters."""
    return unquote(raw.decode("ascii", "replace"))


class _Errors(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._lines) < 10:
            self._lines.append(record.getMessage()[:2_000])


def policy_directory(place: Path) -> Path:
    """The shipped policy, with a service behind gateways, conditions and entities."""
    directory = Path(shutil.copytree(ROOT / "policies", place / "policies"))
    for name, text in MORE_FILES.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text)
    return directory


def database(place: Path) -> Path:
    """A database that has API_KEY, which may read the catalog."""
    path = Path(shutil.copy(prepared_database(), place / DATABASE))
    digest = hashlib.sha256(API_KEY.encode()).digest()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO api_keys (id, subject, name, environment, key_prefix, digest, scopes, created_at)"
            " VALUES (?, ?, 'fuzzed', 'live', ?, ?, '[\"catalog:read\"]', '2026-01-01 00:00:00.000000')",
            (KEY_ID, SUBJECT, API_KEY[:17], digest),
        )
    return path


@contextmanager
def publishing() -> Iterator[LiveIssuer]:
    """An issuer that publishes the key of `signing`."""
    issuer = LiveIssuer()
    issuer.key = KEY
    with issuer:
        yield issuer


def settings_of(place: Path, issuer: LiveIssuer) -> dict[str, str]:
    """The settings, by which no budget is ever spent, and a busy machine is no outage of the database."""
    return {
        "database_url": f"sqlite:///{database(place)}",
        "policy_dir": str(policy_directory(place)),
        "jwks_url": issuer.jwks_url,
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "authorized_parties": PARTY,
        "gateway_secrets": GATEWAY_SECRET,
        "bad_credentials_per_minute": "0",
        "key_issues_per_minute": "0",
        "database_timeout_seconds": "600",
        "connections_per_peer": "0",
        "public_url": "https://api.griddy.example",
        "allowed_origins": PARTY,
        "log_level": "error",
    }


@contextmanager
def application() -> Iterator[Application]:
    """The application, started, with all that it needs."""
    errors: list[str] = []
    logs.configure("error", "json")
    logging.getLogger().handlers[:] = [_Errors(errors)]
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory(prefix="authz-fuzz-") as name, publishing() as issuer:
        app = loop.run_until_complete(build_app(load(**settings_of(Path(name), issuer)), files_win=True))
        lifespan = LifespanProtocol(app)
        loop.run_until_complete(lifespan.startup())
        if lifespan.interrupt or lifespan.errored:
            raise RuntimeError(f"the application did not start: {lifespan.exc} {errors}")
        try:
            yield Application(app, loop, errors)
        finally:
            loop.run_until_complete(lifespan.shutdown())
            loop.close()
