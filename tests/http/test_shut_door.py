"""The door in this process: shut until it is opened, and shut for what cannot be told or read in one way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import get

from app.audit.batch import Batch
from app.audit.log import DecisionLog
from app.gateway.proxies import TrustedProxies
from app.http.budgets import Budgets
from app.http.door import ApiEntrance, Door
from app.http.refusal import Refusals
from app.http.route_table import RouteKeys
from app.identity.api_keys import KeyRecord
from app.identity.authenticate import Authenticator
from app.identity.jwks import KeySet
from app.identity.jwt import JwtVerifier
from app.identity.key_verifier import ApiKeyVerifier
from app.policy.live import LivePolicy
from app.policy.routes import Route, RouteTable
from tests.policy.small import files

pytestmark = pytest.mark.anyio

TABLE = RouteTable([Route("/open", "GET"), Route("/shut", "GET"), Route("/unsure", "GET")])
ROWS = (
    "p, anyone, /open, GET, allow",
    "p, a:read, /shut, GET, allow",
    "p, anyone, /unsure, GET, allow, \"request.ip == '127.0.0.1'\"",
)


@get("/open")
async def route_handler() -> None:
    """Only to be matched."""


@dataclass
class Guarded:
    """A handler behind a door: what reached it, and what it says."""

    door: Door = field(default_factory=Door)
    reached: list[str] = field(default_factory=list)

    async def handler(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached.append(scope["path_template"])
        await send({"type": "http.response.start", "status": 200, "headers": ()})
        await send({"type": "http.response.body", "body": b'{"detail":""}'})

    async def ask(self, raw_path: bytes | None, client: tuple[str, int] | None = ("127.0.0.1", 1)) -> tuple[int, str]:
        """The status and the detail of the answer to a GET without credentials."""
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            raise AssertionError("no body is read")

        template = (raw_path or b"/open").decode("latin-1")
        scope: Any = {
            "type": "http",
            "method": "GET",
            "path": template,
            "path_template": template,
            "raw_path": raw_path,
            "path_params": {},
            "headers": [],
            "client": client,
            "route_handler": route_handler,
        }
        await self.door(self.handler)(scope, receive, send)
        body: Mapping[str, str] = msgspec.json.decode(sent[1]["body"])
        return sent[0]["status"], body["detail"]


@pytest.fixture
def guarded(tmp_path: Path) -> Guarded:
    """A door that is open, with a policy of three rows."""

    async def find(_: bytes) -> KeyRecord | None:
        return None

    async def write(_: Batch) -> None:
        """Decisions are kept nowhere."""

    proxies = TrustedProxies(None)
    keys = ApiKeyVerifier(find, environments=("live",), cache_seconds=60, seen=lambda _: None)
    jwt = JwtVerifier(KeySet("http://127.0.0.1:9/"), "https://issuer.example", ())
    found = Guarded()
    found.door.open(
        RouteKeys({template: template for template in TABLE.templates}, {}),
        LivePolicy(tmp_path, TABLE, files(*ROWS)),
        DecisionLog(write),
        ApiEntrance(Authenticator(jwt, keys), Refusals()),
        {},
        proxies=proxies,
        budgets=Budgets(proxies),
    )
    return found


async def test_a_door_that_was_never_opened_lets_nothing_through() -> None:
    guarded = Guarded()
    for path in (b"/open", b"/shut", None):
        with pytest.raises(RuntimeError, match="the door was never opened"):
            await guarded.ask(path)
    assert not guarded.reached


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        (b"/open", 200, ""),
        (b"/shut", 401, "Authentication credentials were not provided."),
        (b"/unsure", 200, ""),
        (b"/unknown", 401, "Authentication credentials were not provided."),
        (None, 400, "The server gave no raw path."),
        (b"", 400, "The server gave no raw path."),
        (b"/open%2F", 400, "The path encodes a character that must not be encoded."),
        (b"//open", 400, "The path has an ambiguous spelling."),
    ],
)
async def test_what_reaches_a_handler_was_allowed_by_one_reading_of_its_path(
    guarded: Guarded, path: bytes | None, status: int, detail: str
) -> None:
    assert await guarded.ask(path) == (status, detail)
    assert guarded.reached == [path.decode()] * (status == 200) if path else not guarded.reached


async def test_a_condition_on_the_address_is_not_met_where_the_server_gives_none(guarded: Guarded) -> None:
    assert (await guarded.ask(b"/unsure", None))[0] == 401
    assert (await guarded.ask(b"/unsure", ("127.0.0.2", 1)))[0] == 401
    assert not guarded.reached
