"""Request ids and access lines: which ids of callers are kept, and the content of each line."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import select
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from app import logs
from app.gateway.proxies import TrustedProxies
from app.http.door.access_log import MAX_TEXT, AccessLog
from app.http.door.draining import draining
from app.http.door.request_id import with_request_id
from app.http.door.traffic import CountedRequest, Traffic
from app.identity.principal import ANONYMOUS, Principal
from app.log_stream import LogStream
from app.metrics.requests import Requests

pytestmark = pytest.mark.anyio

SECRET = "grd_live_" + "ab" * 24
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(autouse=True)
def log_style(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The level of the log is `info`, and its style JSON, whatever a command of an earlier test configured."""
    caplog.set_level(logging.INFO, "access")
    monkeypatch.setattr(logs, "console_renderer", None)


class RecordedRequest:
    """A request, with its answer, log lines and counters."""

    def __init__(self, *, access_log: bool = True) -> None:
        self.requests = Requests()
        self.traffic = Traffic()
        self.sent: list[Any] = []
        self.seen = ""
        self.log = io.StringIO()
        proxies = TrustedProxies([ip_network("10.0.0.0/8")])
        lines = AccessLog(proxies, LogStream(self.log)) if access_log else None
        self._app = with_request_id(self._answer, lines, self.requests, self.traffic)
        self._messages: list[Any] = []
        self._failure: Exception | None = None

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen = logs.request_id.get()
        for message in self._messages:
            await send(message)
        if self._failure:
            raise self._failure

    async def __call__(
        self,
        *headers: tuple[str, str],
        messages: list[Any] | None = None,
        failure: Exception | None = None,
        **more: Any,
    ) -> list[Any]:
        """Return the lines that are logged for a request."""
        self.sent.clear()
        self._failure = failure
        self._messages = messages if messages is not None else [
            {"type": "http.response.start", "status": 201, "headers": ((b"a", b"b"),)},
            {"type": "http.response.body", "body": b""},
        ]  # fmt: skip

        async def send(message: Any) -> None:
            self.sent.append(message)

        async def receive() -> Any:
            raise AssertionError("no body is read")

        scope: Any = {
            "type": "http", "method": "GET", "raw_path": b"/x", "client": ("10.0.0.1", 4321),
            "headers": [(name.encode(), value.encode()) for name, value in headers], **more,
        }  # fmt: skip
        self.log.seek(0)
        self.log.truncate()
        await self._app(scope, receive, send)
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    @property
    def request_id(self) -> str:
        """The request id of the answer, which is also that of the application."""
        found = [value.decode() for name, value in self.sent[0]["headers"] if name == b"x-request-id"]
        assert found == [self.seen]
        return self.seen


@pytest.mark.parametrize("stated", ["a", "abc-123", "A.b_c:d/e+f=g", "x" * 128, "0" * 32])
async def test_a_plain_request_id_is_kept(stated: str) -> None:
    asked = RecordedRequest()
    await asked(("x-request-id", stated), ("other", "y"))
    assert asked.request_id == stated
    assert asked.sent[0]["headers"][0] == (b"a", b"b")


@pytest.mark.parametrize(
    "stated",
    [[], [""], ["a b"], ["x" * 129], ["é"], ['a"b'], ["a\n"], [SECRET], ["abc", "abc"], ["abc", "def"]],
)
async def test_any_other_request_id_is_replaced_by_an_ordered_one(stated: list[str]) -> None:
    asked = RecordedRequest()
    found = []
    for _ in range(2):
        await asked(*(("x-request-id", each) for each in stated))
        found.append(asked.request_id)
    assert all(re.fullmatch(r"[0-9a-f]{24}", each) for each in found)
    assert found[0] != found[1]
    assert found[0][:14] <= found[1][:14]
    assert int(found[0][:14], 16) > 1_700_000_000_000_000, "microseconds since 1970"


async def test_a_new_id_is_the_time_in_microseconds_and_40_random_bits() -> None:
    asked, found = RecordedRequest(), []
    before = time.time_ns() // 1_000
    for _ in range(30):
        await asked()
        found.append(int(asked.request_id, 16))
    after = time.time_ns() // 1_000
    assert all(before <= number >> 40 <= after for number in found)
    for bit in range(40):
        assert len({number >> bit & 1 for number in found}) == 2, bit


async def test_a_request_is_counted_until_its_answer_begins() -> None:
    asked = RecordedRequest()
    seen: list[int] = []

    class Messages(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            for message in ({"type": "http.response.start", "status": 200, "headers": ()}, {"type": "other"}):
                seen.append(asked.traffic.requests)
                yield message
            seen.append(asked.traffic.requests)

    await asked(messages=Messages())
    assert (seen, asked.traffic.requests) == ([1, 0, 0], 0)
    await asked(messages=[])
    assert asked.traffic.requests == 0
    with pytest.raises(RuntimeError):
        await asked(messages=[], failure=RuntimeError("failed"))
    assert asked.traffic.requests == 0


@pytest.mark.parametrize("starts_before", [True, False])
@pytest.mark.parametrize("ends", ["body", "cancelled", "disconnect"])
async def test_a_request_is_not_counted_while_it_waits_for_its_body(ends: str, *, starts_before: bool) -> None:
    traffic, seen = Traffic(), list[int]()
    arrived: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    start: Any = {"type": "http.response.start", "status": 200, "headers": ()}

    async def answer(_scope: Any, receive: Any, send: Any) -> None:
        seen.append(traffic.requests)
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        if starts_before:  # an answer that is sent before the body has arrived
            await send(start)
        seen.append(traffic.requests)
        try:
            await waiting
        finally:
            seen.append(traffic.requests)
        if not starts_before:
            await send(start)
        seen.append(traffic.requests)
        await receive()

    async def receive() -> Any:
        return await asyncio.shield(arrived)

    async def send(_: Any) -> None:
        pass

    scope: Any = {"type": "http", "method": "POST", "raw_path": b"/x", "headers": []}
    request = asyncio.ensure_future(with_request_id(answer, None, Requests(), traffic)(scope, receive, send))
    for _ in range(5):
        await asyncio.sleep(0)
    assert seen == [1, 0]
    if ends == "cancelled":
        request.cancel()
    else:
        arrived.set_result({"type": "http.request" if ends == "body" else "http.disconnect"})
    await asyncio.wait({request})
    counted = int(not starts_before)
    assert seen == ([1, 0, counted] if ends == "cancelled" else [1, 0, counted, 0])
    assert traffic.requests == 0


@pytest.mark.parametrize(("size", "prompt"), [(1, 32), (511, 15_873), (512, 20_000)])
async def test_the_small_pieces_of_a_body_wait_for_other_requests(
    size: int, prompt: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.http.door.traffic.GIVE_WAY_SECONDS", 60.0)
    traffic, pieces = Traffic(), 0

    async def receive() -> Any:
        return {"type": "http.request", "body": b"x" * size, "more_body": True}

    async def read() -> None:
        nonlocal pieces
        body = CountedRequest(traffic, receive)
        while pieces < 20_000:
            await body.receive()
            pieces += 1

    traffic.enter()
    reading = asyncio.ensure_future(read())
    for _ in range(20):
        await asyncio.sleep(0)
    assert pieces == prompt
    traffic.leave()
    while pieces < min(prompt + 3, 20_000):
        await asyncio.sleep(0.001)
    reading.cancel()


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        (("10.0.0.1", 1), ["192.0.2.1"], "192.0.2.1"),
        (("10.0.0.1", 1), ["192.0.2.9, 192.0.2.1"], "192.0.2.1"),
        (("10.0.0.1", 1), [], None),
        (("192.0.2.7", 1), ["192.0.2.1"], "192.0.2.7"),
        (None, ["192.0.2.1"], None),
    ],
)
async def test_an_access_line_has_the_client_address(
    peer: tuple[str, int] | None, forwarded: list[str], client: str | None
) -> None:
    (line,) = await RecordedRequest()(*(("x-forwarded-for", each) for each in forwarded), client=peer)
    assert line["client"] == client


async def test_an_access_line_has_caller_and_request() -> None:
    asked = RecordedRequest()
    (line,) = await asked(user=ANONYMOUS)
    assert 0 <= line.pop("milliseconds") < 60_000
    assert abs(datetime.fromisoformat(line.pop("timestamp")) - datetime.now(UTC)) < timedelta(minutes=1)
    assert line == {
        "event": "request", "level": "info", "request_id": asked.request_id, "method": "GET", "path": "/x",
        "status": 201, "client": None, "subject": None, "key_id": None, "auth_method": "anonymous",
    }  # fmt: skip
    principal = Principal("user_a", "api_key", frozenset(), key_id=7)
    (line,) = await asked(user=principal, state={"asked": "GET /y"}, method="POST")
    assert (line["subject"], line["key_id"], line["auth_method"]) == ("user_a", 7, "api_key")
    assert (line["asked"], line["method"]) == ("GET /y", "POST")
    assert "client_id" not in line
    (line,) = await asked(user=Principal("user_a", "oauth", frozenset(), client_id="https://app.example/client.json"))
    assert (line["subject"], line["client_id"], line["auth_method"]) == (
        "user_a",
        "https://app.example/client.json",
        "oauth",
    )
    (line,) = await asked()
    assert (line["subject"], line["key_id"], line["auth_method"]) == (None, None, None)
    assert "asked" not in line


async def test_no_secret_and_no_second_line_is_logged() -> None:
    principal = Principal(SECRET, "jwt", frozenset())
    (line,) = await RecordedRequest()(
        raw_path=f"/{SECRET}/\xe9".encode("latin-1"), user=principal, state={"asked": SECRET}
    )
    assert SECRET not in str(line)
    assert line["path"].endswith("/\\xe9")


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/" + "a" * (MAX_TEXT - 1), "/" + "a" * (MAX_TEXT - 1)),
        ("/" + "a" * 60_000, f"/{'a' * (MAX_TEXT - 1)}…"),
        (f"/{'a' * (MAX_TEXT - 20)}{SECRET}", f"/{'a' * (MAX_TEXT - 20)}[secret]"),
        (f"/{'a' * (MAX_TEXT - 2)}{SECRET}", f"/{'a' * (MAX_TEXT - 2)}[…"),
        (f"/eyJ{'a' * 5_000}/{SECRET}", "/[secret]"),
        ("/" + "\\" * 9_000, "/" + "\\" * 191 + "…"),
        ("/" + '"' * 9_000, "/" + '"' * 191 + "…"),
        ("/" + "\xe9" * 9_000, "/" + "\\xe9" * 47 + "\\xe…"),
        ("/" + "\x01" * 9_000, "/" + "\x01" * 191 + "…"),
    ],
)
async def test_a_line_fits_in_a_piece_of_a_pipe(path: str, logged: str) -> None:
    asked = RecordedRequest()
    principal = Principal("\U0001f511" * 255, "api_key", frozenset(), key_id=2**63 - 1)
    headers = [("x-request-id", "x" * 128), ("traceparent", f"00-{TRACE}-b7ad6b7169203331-01")]
    state = {"asked": f"GET {path}"}
    raw_path = path.encode("latin-1")
    (line,) = await asked(*headers, raw_path=raw_path, user=principal, state=state, client=("2001:db8::" + "1" * 29, 1))
    assert line["path"] == logged
    assert len(asked.log.getvalue().encode()) <= select.PIPE_BUF


@pytest.mark.parametrize(
    ("stated", "trace"),
    [
        ([f"00-{TRACE}-b7ad6b7169203331-01"], TRACE),
        ([f"cc-{TRACE}-b7ad6b7169203331-01-more"], TRACE),
        ([f"00-{'0' * 32}-b7ad6b7169203331-01"], None),
        ([f"00-{TRACE}-b7ad6b7169203331"], None),
        ([f"00-{TRACE}-b7ad6b7169203331-01more"], None),
        ([f"00-{TRACE.upper()}-b7ad6b7169203331-01"], None),
        ([f"00-{TRACE}-b7ad6b7169203331-01"] * 2, None),
        ([], None),
    ],
)
async def test_an_access_line_has_the_trace_id_of_the_caller(stated: list[str], trace: str | None) -> None:
    (line,) = await RecordedRequest()(*(("traceparent", each) for each in stated))
    assert line.get("trace_id") == trace
    token = logs.trace.set(("1" * 32, "2" * 16))
    try:
        (line,) = await RecordedRequest()(*(("traceparent", each) for each in stated))
    finally:
        logs.trace.reset(token)
    assert (line["trace_id"], line["span_id"]) == ("1" * 32, "2" * 16)


async def test_a_line_that_cannot_be_encoded_costs_no_other_line(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as file:
        stream = LogStream(file)
        access_log = AccessLog(TrustedProxies(None), stream)
        stream.start(access_log.flush)
        for number in range(10):
            scope: Any = {"type": "http", "method": "GET", "state": {"asked": "\ud800" if number == 5 else f"{number}"}}
            access_log.note(scope, [], "r", 200, ended=0, took=0)
        stream.flush()
        stream.stop()
        file.seek(0)
        assert [json.loads(line)["asked"] for line in file] == list("012346789")
        assert stream.dropped == 1


async def test_a_websocket_has_an_id_and_a_line_too() -> None:
    asked = RecordedRequest()
    accept = {"type": "websocket.accept", "headers": ((b"a", b"b"),)}
    (line,) = await asked(("x-request-id", "abc"), type="websocket", messages=[accept])
    assert (line["method"], line["status"], asked.request_id) == ("WEBSOCKET", 101, "abc")
    refused = {"type": "websocket.http.response.start", "status": 403, "headers": ()}
    (line,) = await asked(("x-request-id", "abc"), type="websocket", messages=[refused])
    assert (line["status"], asked.request_id) == (403, "abc")


async def test_a_failed_request_is_logged_and_counted() -> None:
    asked = RecordedRequest()
    with pytest.raises(RuntimeError):
        await asked(messages=[], failure=RuntimeError("unforeseen"), path_template="/x")
    await asked(path_template="/x")
    await asked(path_template="/x")
    assert {status: len(took) for status, took in asked.requests.known["/x"].items()} == {0: 1, 201: 2}
    assert all(0 <= took < 60e9 for each in asked.requests.known["/x"].values() for took in each)


async def test_without_an_access_log_there_are_no_lines() -> None:
    asked = RecordedRequest(access_log=False)
    assert await asked(("x-request-id", "abc")) == []
    assert asked.request_id == "abc"
    assert asked.requests.known


async def test_answers_close_their_connections_while_draining() -> None:
    asked = RecordedRequest()
    await asked()
    assert (b"connection", b"close") not in asked.sent[0]["headers"]
    draining.begun = True
    try:
        await asked()
    finally:
        draining.begun = False
    assert (b"connection", b"close") in asked.sent[0]["headers"]


async def test_lifespan_messages_are_ignored() -> None:
    reached: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope)

    unused: Any = None
    scope: Any = {"type": "lifespan"}
    log = io.StringIO()
    access_log = AccessLog(TrustedProxies(None), LogStream(log))
    await with_request_id(app, access_log, Requests(), Traffic())(scope, unused, unused)
    assert (reached, log.getvalue()) == ([scope], "")
