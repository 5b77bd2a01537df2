"""The door without a server: closed until it is opened, and for everything undecidable or ambiguous."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import get
from litestar.response.base import ASGIResponse

from app.audit.batch import Batch
from app.audit.log import DecisionLog
from app.audit.record import Record, Unverified
from app.gateway.proxies import TrustedProxies
from app.http.door.budgets import Budgets
from app.http.door.direct import DIRECT
from app.http.door.middleware import ApiEntrance, Door
from app.http.door.refusal import Refusals
from app.http.door.refusal_throttle import BURST, RefusalThrottle
from app.http.door.route_table import RouteKeys
from app.http.door.traffic import Traffic
from app.identity.api_keys import KeyRecord, mint
from app.identity.authenticate import Authenticator
from app.identity.errors import CannotVerify
from app.identity.jwks import KeySet
from app.identity.jwt import single_issuer
from app.identity.key_verifier import ApiKeyVerifier
from app.identity.principal import key_principal
from app.policy.engine.live import LivePolicy
from app.policy.routing.routes import Route, RouteTable
from tests.policy.small import files
from tests.support.app_tokens import NO_APPS

pytestmark = pytest.mark.anyio

TABLE = RouteTable(
    [
        *(Route(path, "GET") for path in ("/open", "/shut", "/unsure", "/own", "/healthz", "/readyz", "/direct")),
        Route("/read/{place}", "GET"),
        Route("/read/{place}", "WEBSOCKET"),
    ]
)
ROWS = (
    *(f"p, anyone, {path}, GET, allow" for path in ("/open", "/own", "/healthz", "/readyz", "/direct")),
    "p, a:read b:read, /shut, GET, allow",
    "p, anyone, /unsure, GET, allow, \"request.ip == '127.0.0.1'\"",
    "p, anyone, /read/{place}, GET, allow, \"params.place == 'method' && request.method == 'GET'\"",
    "p, anyone, /read/{place}, GET|WEBSOCKET, allow, \"params.place == 'path' && request.path == '/read/path'\"",
    "p, anyone, /read/{place}, GET, allow, \"params.place == 'route' && resource.id == '/read/{place}'\"",
    "p, anyone, /read/{place}, GET, allow, \"params.place == 'type' && resource.type == 'route'\"",
    "p, anyone, /read/{place}, GET, allow, \"params.place == 'action' && action.name == 'GET'\"",
    "p, anyone, /read/{place}, GET, allow, \"params.place == '7' && subject.method == 'api_key'\"",
    "p, anyone, /read/{place}, WEBSOCKET, allow, \"params.place == 'socket' && !has(request.method)\"",
)
NOT_PROVIDED = "Authentication credentials were not provided."
FORBIDDEN = "Token is missing one or more required permissions."


@get("/open")
async def route_handler() -> None:
    """A route to match."""


async def _direct(_: Any) -> ASGIResponse:
    return ASGIResponse(body=b'{"detail":"direct"}')


direct_handler = get("/direct", opt=DIRECT)(_direct)


class OtherEntrance(ApiEntrance):
    """An entrance with its own refusals."""

    name = "other"


@dataclass
class Guarded:
    """A handler behind a door, which records its requests."""

    door: Door = field(default_factory=Door)
    reached: list[Any] = field(default_factory=list)
    failing: Exception | None = None
    keys: dict[bytes, KeyRecord] = field(default_factory=dict)
    written: list[Record] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)

    async def handler(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": ()})
        await send({"type": "http.response.body", "body": b'{"detail":""}'})

    async def ask(
        self,
        raw_path: bytes | None,
        client: tuple[str, int] | None = ("127.0.0.1", 1),
        *,
        bearer: str = "",
        **more: Any,
    ) -> tuple[int, str]:
        """The status and the detail of the answer to a GET."""
        self.sent.clear()

        async def send(message: Any) -> None:
            self.sent.append(message)

        async def receive() -> Any:
            if more.get("type") == "websocket":
                return {"type": "websocket.connect"}
            raise AssertionError("no body is read")

        path = (raw_path or b"/open").decode("latin-1")
        place = path.removeprefix("/read/")
        scope: Any = {
            "type": "http",
            "method": "GET",
            "path": path,
            "path_template": path if place == path else "/read/{place}",
            "raw_path": raw_path,
            "path_params": {} if place == path else {"place": int(place) if place.isdigit() else place},
            "headers": [(b"authorization", f"Bearer {bearer}".encode())] if bearer else [],
            "client": client,
            "route_handler": direct_handler if path == "/direct" else route_handler,
            "extensions": {"websocket.http.response": {}},
            **more,
        }
        await self.door(self.handler)(scope, receive, send)
        body: Mapping[str, str] = msgspec.json.decode(self.sent[1]["body"])
        return self.sent[0]["status"], body["detail"]

    def key(self, *scopes: str) -> str:
        """A key with these scopes."""
        key = mint("live")
        number = len(self.keys) + 1
        self.keys[key.digest] = KeyRecord(number, "user_a", "live", frozenset(scopes), key.digest, None, None)
        return key.plaintext

    def header(self, name: bytes) -> bytes | None:
        """A header of the last answer."""
        return dict(self.sent[0]["headers"]).get(name)

    async def find(self, digest: bytes) -> KeyRecord | None:
        """The record of a key."""
        if self.failing:
            raise self.failing
        return self.keys.get(digest)

    async def write(self, batch: Batch) -> None:
        """Record decisions."""
        self.written += batch.records()


@dataclass
class Opened(Guarded):
    """A door that is open, with a policy of a few rows."""

    live: LivePolicy = field(kw_only=True)

    def __post_init__(self) -> None:
        self.throttle_time = 1000.0
        self.traffic = Traffic()
        self.throttle = RefusalThrottle(self.traffic, clock=lambda: self.throttle_time)
        proxies = TrustedProxies(None)
        keys = ApiKeyVerifier(self.find, environments=("live",), cache_seconds=60, on_accepted=lambda _: None)
        jwt = single_issuer(KeySet("http://127.0.0.1:9/"), "https://issuer.example", ())
        authenticator = Authenticator(jwt, keys, NO_APPS)
        self.log = DecisionLog(self.write)
        self.door.open(
            RouteKeys({template: template for template in TABLE.templates}, {}),
            self.live,
            self.log,
            ApiEntrance(authenticator, Refusals()),
            {"/own": OtherEntrance(authenticator, Refusals("https://authz.example/metadata"))},
            proxies=proxies,
            budgets=Budgets(proxies, bad_credentials=3),
            throttle=self.throttle,
        )

    async def logged(self) -> list[Record]:
        """The decisions that were logged since the last call."""
        async with self.log:
            """What waits is written on leaving."""
        found = list(self.written)
        self.written.clear()
        return found


@pytest.fixture
def guarded(tmp_path: Path) -> Opened:
    return Opened(live=LivePolicy(tmp_path, TABLE, files(*ROWS)))


async def test_a_door_that_was_not_opened_refuses_everything() -> None:
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
async def test_a_handler_is_reached_by_unambiguous_paths_only(
    guarded: Opened, path: bytes | None, status: int, detail: str
) -> None:
    assert await guarded.ask(path) == (status, detail)
    assert [scope["raw_path"] for scope in guarded.reached] == [path] * (status == 200)


async def test_a_condition_on_the_address_is_not_met_where_the_server_gives_none(guarded: Opened) -> None:
    assert (await guarded.ask(b"/unsure", None))[0] == 401
    assert (await guarded.ask(b"/unsure", ("127.0.0.2", 1)))[0] == 401
    assert not guarded.reached


async def test_a_handler_receives_principal_and_decision(guarded: Opened) -> None:
    assert await guarded.ask(b"/shut", bearer=guarded.key("a:read", "b:read")) == (200, "")
    (scope,) = guarded.reached
    assert (scope["user"].subject, scope["user"].key_id, scope["auth"].allowed) == ("user_a", 1, True)
    (record,) = await guarded.logged()
    assert (record.key.door, record.key.resource, record.key.action, record.key.subject) == (
        "app",
        "/shut",
        "GET",
        "user_a",
    )
    assert (record.key.allowed, record.key.reason, record.key.revision) == (
        True,
        "a rule allows it",
        guarded.live.active.revision,
    )


@pytest.mark.parametrize(
    ("path", "scopes", "answer", "reason"),
    [
        (b"/shut", None, (401, NOT_PROVIDED), "missing grants"),
        (b"/shut", "a:read", (403, FORBIDDEN), "missing grants"),
        (b"/unknown", None, (401, NOT_PROVIDED), "no rule covers it"),
        (b"/unknown", "a:read", (403, FORBIDDEN), "no rule covers it"),
    ],
)
async def test_a_denial_is_logged_and_reaches_no_handler(
    guarded: Opened, path: bytes, scopes: str | None, answer: tuple[int, str], reason: str
) -> None:
    bearer = guarded.key(scopes) if scopes else ""
    assert await guarded.ask(path, bearer=bearer) == answer
    assert not guarded.reached
    challenge = guarded.header(b"www-authenticate")
    assert challenge is not None
    assert (b'scope="b:read"' in challenge) is (path == b"/shut" and scopes is not None)
    (record,) = await guarded.logged()
    assert (record.key.door, record.key.resource, record.key.action) == (
        "app",
        path.decode() if path == b"/shut" else "",
        "GET",
    )
    assert (record.key.allowed, record.key.reason, record.key.method) == (
        False,
        reason,
        "api_key" if scopes else "anonymous",
    )


@pytest.mark.parametrize(
    ("bearer", "detail"), [("grd_live_x", "Malformed API key."), ("abc", "Invalid token."), ("a b", None)]
)
async def test_bad_credentials_are_refused_on_public_routes_and_are_429_beyond_their_budget(
    guarded: Opened, bearer: str, detail: str | None
) -> None:
    detail = detail or "Invalid Authorization header: token must not contain spaces."
    for path in (b"/open", b"/shut", b"/unknown"):
        assert await guarded.ask(path, bearer=bearer) == (401, detail)
        assert guarded.header(b"retry-after") is None
    records = await guarded.logged()
    assert [(record.key.door, record.key.resource) for record in records] == [
        ("app", "/open"),
        ("app", "/shut"),
        ("app", ""),
    ]
    assert {(record.key.reason.partition(" (")[0], record.key.method) for record in records} == {(detail, None)}
    assert await guarded.ask(b"/open", bearer=bearer) == (429, "Too many requests.")
    assert guarded.header(b"retry-after") == b"20"
    assert not await guarded.logged()
    assert await guarded.ask(b"/open", bearer=guarded.key()) == (200, "")
    assert await guarded.ask(b"/open", ("127.0.0.2", 1), bearer=bearer) == (401, detail)
    assert len(guarded.reached) == 1


async def test_a_refusal_beyond_the_budget_waits_a_tenth_of_a_second_uncounted(
    guarded: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = []

    async def sleep(seconds: float) -> None:
        waits.append((seconds, guarded.traffic.requests, len(guarded.sent)))

    monkeypatch.setattr("app.http.door.refusal_throttle.asyncio.sleep", sleep)
    guarded.traffic.enter()  # as each request does
    for _ in range(3):
        await guarded.ask(b"/open", bearer="abc")
    assert not waits
    assert (await guarded.ask(b"/open", bearer="abc"))[0] == 429
    assert waits == [(0.1, 0, 0)]
    assert guarded.traffic.requests == 1


async def test_only_refusals_of_unknown_callers_are_paced(guarded: Opened) -> None:
    def places() -> int:
        """The number of refusals that would be sent without a delay."""
        count = 0
        while not guarded.throttle.delay():
            count += 1
        return count

    for _ in range(5):
        assert (await guarded.ask(b"/open"))[0] == 200
        assert (await guarded.ask(b"/shut", bearer=guarded.key()))[0] == 403
        assert (await guarded.ask(b"/shut", bearer=guarded.key("a:read", "b:read")))[0] == 200
    assert places() == BURST + 1
    guarded.throttle_time += 1000
    for path, bearer, status in ((b"/shut", "", 401), (b"/open", "abc", 401), (b"/open", "grd_live_x", 401)):
        assert (await guarded.ask(path, bearer=bearer))[0] == status
    assert places() == BURST + 1 - 3


async def test_unverifiable_callers_get_503_and_spend_no_budget(guarded: Opened) -> None:
    bearer = guarded.key("a:read", "b:read")
    guarded.failing = CannotVerify("Keys cannot be read now.", 7)
    for _ in range(5):
        assert await guarded.ask(b"/shut", bearer=bearer) == (503, "Keys cannot be read now.")
        assert guarded.header(b"retry-after") == b"7"
    records = await guarded.logged()
    assert {record.key.reason for record in records} == {"Keys cannot be read now."}
    assert sum(record.times for record in records) == 5
    assert await guarded.ask(b"/open") == (200, ""), "an anonymous caller needs no key"
    guarded.failing = None
    assert await guarded.ask(b"/shut", bearer=bearer) == (200, "")


async def test_a_flood_of_a_known_caller_waits_for_the_log_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = DecisionLog.__init__.__kwdefaults__
    assert defaults
    monkeypatch.setitem(defaults, "capacity", 8)
    monkeypatch.setitem(defaults, "every_seconds", 0.01)
    guarded = Opened(live=LivePolicy(tmp_path, TABLE, files(*ROWS)))
    allowed, denied = guarded.key("a:read", "b:read"), guarded.key()
    async with guarded.log:
        for _ in range(20):
            assert (await guarded.ask(b"/shut", bearer=allowed))[0] == 200
            assert (await guarded.ask(b"/shut", bearer=denied))[0] == 403
    assert (len(guarded.written), guarded.log.health.dropped) == (40, 0)


async def test_anonymous_callers_do_not_wait_for_known_ones(guarded: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.audit.admission.ROOM_SECONDS", 1000.0)
    caller = key_principal("owner", 7, "live", [])
    for _ in range(guarded.log.health.classes["known"].capacity):
        guarded.log.note("app", "/open", "GET", caller, Unverified("any", "rev"), started=0)
    assert guarded.log.throttle.is_crowded
    async with asyncio.timeout(10):
        assert await guarded.ask(b"/open") == (200, "")


async def test_only_health_is_served_while_the_policy_may_be_stale(guarded: Opened) -> None:
    guarded.live.suspend()
    for path in (b"/open", b"/shut", b"/unknown"):
        assert await guarded.ask(path, bearer=guarded.key("a:read", "b:read")) == (
            503,
            "The policy may be out of date.",
        )
        assert guarded.header(b"retry-after") == b"5"
    for path in (b"/healthz", b"/readyz"):
        assert await guarded.ask(path) == (200, "")
    guarded.live.resume()
    assert await guarded.ask(b"/open") == (200, "")


async def test_a_template_may_have_its_own_entrance(guarded: Opened) -> None:
    assert await guarded.ask(b"/own") == (200, "")
    assert await guarded.ask(b"/own", bearer="abc") == (401, "Invalid token.")
    assert b"resource_metadata" in (guarded.header(b"www-authenticate") or b"")
    assert await guarded.ask(b"/open", bearer="abc") == (401, "Invalid token.")
    assert b"resource_metadata" not in (guarded.header(b"www-authenticate") or b"")
    assert [record.key.door for record in await guarded.logged()] == ["other", "other", "app"]


@pytest.mark.parametrize("place", ["method", "path", "route", "type", "action", "7", "socket"])
async def test_a_condition_reads_the_request(guarded: Opened, place: str) -> None:
    path = f"/read/{place}".encode()
    is_socket = place == "socket"
    bearer = guarded.key() if place == "7" else ""
    assert (await guarded.ask(path, bearer=bearer))[0] == (401 if is_socket else 200)
    asked = await guarded.ask(path, type="websocket")
    assert asked[0] == (200 if place in {"path", "socket"} else 401)
    assert [scope["type"] for scope in guarded.reached].count("websocket") == (place in {"path", "socket"})
    assert (await guarded.ask(b"/read/other", bearer=bearer))[0] == (403 if bearer else 401)


async def test_a_direct_handler_is_called_behind_the_door(guarded: Opened) -> None:
    assert await guarded.ask(b"/direct") == (200, "direct")
    assert await guarded.ask(b"/direct", bearer="abc") == (401, "Invalid token.")
    assert await guarded.ask(b"/direct%2F") == (400, "The path encodes a character that must not be encoded.")
    assert not guarded.reached


async def test_a_cached_caller_needs_no_await(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def wait(*_: Any) -> None:
        raise CannotVerify("It was waited for.", 1)

    monkeypatch.setattr(Authenticator, "verify", wait)
    guarded = Opened(live=LivePolicy(tmp_path, TABLE, files(*ROWS)))
    assert await guarded.ask(b"/open") == (200, "")
    assert await guarded.ask(b"/open", bearer=guarded.key()) == (503, "It was waited for.")
