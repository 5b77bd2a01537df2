"""Requests of the SDK for Python to a server that fails: what is sent again, what is raised, and where tokens go."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from scripts.sdk.python.griddy import (
    AsyncGriddy,
    BadRequest,
    Conflict,
    ConnectionFailed,
    Forbidden,
    Griddy,
    GriddyError,
    NotFound,
    RefusedRequest,
    RetryPolicy,
    ServerError,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnexpectedResponse,
)

# A status, headers and a body; None ends the connection without a response.
Answer = tuple[int, dict[str, str], Any] | None
OK: Answer = (200, {}, {"id": 1})
NOW = {"Retry-After": "0"}
CHALLENGE = 'Bearer error="insufficient_scope", error_description="Token is missing.", scope="catalog:write keys:read"'


class FailingServer(ThreadingHTTPServer):
    """Gives the answers of a list in their order, and records the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Answer] = []
        self.requests: list[tuple[str, str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FailingServer

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, self.path, self.headers["Authorization"]))
        answer = self.server.answers.pop(0)
        if answer is None:
            self.close_connection = True
            return
        status, headers, content = answer
        body = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "X-Request-ID": "r1"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815  # the names of the library

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def failing() -> Iterator[FailingServer]:
    server = FailingServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["sync", "async"])
def send(request: pytest.FixtureRequest, failing: FailingServer) -> Callable[..., Any]:
    """Send a request with one of the two clients, to answers in turn; returns the body."""
    failing.requests.clear()

    async def send_async(method: str, path: str, policy: RetryPolicy) -> Any:
        async with AsyncGriddy(failing.url, "t", retry=policy) as griddy:
            return await griddy.request(method, path)

    def send(method: str, *answers: Answer, path: str = "/x", policy: RetryPolicy | None = None) -> Any:
        failing.answers[:] = answers
        policy = policy or RetryPolicy()
        if request.param == "async":
            return asyncio.run(send_async(method, path, policy))
        with Griddy(failing.url, "t", retry=policy) as griddy:
            return griddy.request(method, path)

    return send


@pytest.mark.parametrize(
    ("method", "first", "again"),
    [
        ("GET", None, True),
        ("PUT", None, True),
        ("POST", None, False),
        ("PATCH", None, False),
        ("DELETE", None, False),
        ("GET", (503, NOW, {"detail": "d"}), True),
        ("PUT", (502, {}, None), True),
        ("POST", (503, NOW, {"detail": "d"}), False),
        ("DELETE", (503, NOW, {"detail": "d"}), False),
        ("POST", (429, NOW, {"detail": "d"}), True),
        ("GET", (500, NOW, {"detail": "d"}), False),
        ("GET", (503, {"Retry-After": "3600"}, {"detail": "d"}), False),
        ("GET", (404, NOW, {"detail": "d"}), False),
    ],
)
def test_a_request_is_sent_again_only_where_that_is_safe(
    failing: FailingServer, send: Callable[..., Any], method: str, first: Answer, again: bool
) -> None:
    if again:
        assert send(method, first, OK) == {"id": 1}
    else:
        with pytest.raises(GriddyError):
            send(method, first, OK)
    assert len(failing.requests) == 1 + again


def test_the_number_of_attempts_is_limited(failing: FailingServer, send: Callable[..., Any]) -> None:
    with pytest.raises(Unavailable):
        send("GET", *[(503, NOW, {"detail": "d"})] * 9, policy=RetryPolicy(retries=1))
    assert len(failing.requests) == 2
    with pytest.raises(ConnectionFailed):
        send("GET", None, policy=RetryPolicy(retries=0))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, Unauthenticated),
        (403, Forbidden),
        (404, NotFound),
        (405, RefusedRequest),
        (409, Conflict),
        (422, BadRequest),
        (429, TooManyRequests),
        (500, ServerError),
        (503, Unavailable),
    ],
)
def test_each_status_is_an_exception(send: Callable[..., Any], status: int, kind: type[RefusedRequest]) -> None:
    with pytest.raises(GriddyError) as raised:
        send("POST", (status, {"Retry-After": "3600"}, {"detail": "No."}))
    error = raised.value
    assert type(error) is kind
    assert isinstance(error, RefusedRequest)
    assert (error.status, error.detail, error.request_id, str(error)) == (status, "No.", "r1", f"{status}: No.")


def test_an_exception_says_what_to_do(send: Callable[..., Any]) -> None:
    with pytest.raises(Forbidden) as forbidden:
        send("GET", (403, {"WWW-Authenticate": CHALLENGE}, {"detail": "d"}))
    assert forbidden.value.missing == ("catalog:write", "keys:read")
    with pytest.raises(BadRequest) as bad:
        send("POST", (400, {}, {"detail": "d", "errors": [{"field": "name", "message": "must be a string"}]}))
    assert bad.value.errors == {"name": "must be a string"}
    with pytest.raises(TooManyRequests) as many:
        send("GET", (429, {"Retry-After": "31"}, {"detail": "d"}))
    assert many.value.retry_after == 31
    with pytest.raises(ServerError) as broken:
        send("GET", (500, {}, ["not", "an", "object"]))
    assert broken.value.detail == "Internal Server Error"


def test_a_token_goes_to_no_other_host(failing: FailingServer, send: Callable[..., Any]) -> None:
    with pytest.raises(RefusedRequest) as moved:
        send("GET", (302, {"Location": "http://localhost:1/elsewhere"}, None))
    assert moved.value.status == 302
    failing.answers[:] = [
        (200, {"Link": '<http://elsewhere.example/api/v1/api-keys/?cursor=c>; rel="next"'}, [{"id": 2}]),
        (200, {}, [{"id": 1}]),
    ]
    with Griddy(failing.url, "t") as griddy:
        assert [key["id"] for key in griddy.api_keys.list()] == [2, 1]
    assert failing.requests[-1] == ("GET", "/api/v1/api-keys/?cursor=c", "Bearer t")


@pytest.mark.parametrize(
    "url", ["http://api.example", "ftp://127.0.0.1", "https://api.example/v1", "https://", "api.example", "https://a?b"]
)
@pytest.mark.parametrize("client", [Griddy, AsyncGriddy])
def test_an_address_without_encryption_or_with_a_path_is_refused(
    client: Callable[[str, str], object], url: str
) -> None:
    with pytest.raises(ValueError, match="the address of the API"):
        client(url, "t")


@pytest.mark.parametrize("client", [Griddy, AsyncGriddy])
def test_what_cannot_be_a_token_or_an_address_is_refused_without_showing_it(client: Callable[..., object]) -> None:
    for token in ("secret\n", "", "Bearer secret", "secret\u2026", b"secret"):
        with pytest.raises((TypeError, ValueError), match="the token") as raised:
            client("https://a", token) if isinstance(token, str) else _ask(client, token)
        assert "secret" not in str(raised.value)
    with pytest.raises(ValueError, match="a user or a password") as named:
        client("https://user:secret@a", "t")
    assert "secret" not in str(named.value)


def _ask(client: Callable[..., Any], token: object) -> None:
    griddy = client("https://a", lambda: token)
    if isinstance(griddy, Griddy):
        griddy.request("GET", "/x")
    else:
        asyncio.run(griddy.request("GET", "/x"))


async def _async_rows(url: str, *, keys: bool) -> list[Any]:
    async with AsyncGriddy(url, "t") as griddy:
        return [row async for row in (griddy.api_keys.list() if keys else griddy.teams.list())]


def _rows(url: str, *, keys: bool) -> list[Any]:
    with Griddy(url, "t") as griddy:
        return list(griddy.api_keys.list() if keys else griddy.teams.list())


def _list(url: str, *, keys: bool, is_async: bool) -> list[Any]:
    return asyncio.run(_async_rows(url, keys=keys)) if is_async else _rows(url, keys=keys)


ELSEWHERE = "//elsewhere.example/../api/v1/policies/?after=1#x"


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("keys", "first", "path"),
    [
        (False, (200, {}, {"results": [1], "next": ELSEWHERE}), "/api/v1/teams/?after=1"),
        (True, (200, {"Link": f'<{ELSEWHERE}>; rel="next"'}, [1]), "/api/v1/api-keys/?after=1"),
    ],
    ids=["rows", "keys"],
)
def test_a_link_to_a_page_leads_nowhere_else(
    failing: FailingServer, *, is_async: bool, keys: bool, first: Answer, path: str
) -> None:
    failing.requests.clear()
    last: Any = [2] if keys else {"results": [2], "next": None}
    failing.answers[:] = [first, (200, {}, last)]
    assert _list(failing.url, keys=keys, is_async=is_async) == [1, 2]
    assert failing.requests[1] == ("GET", path, "Bearer t")


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (False, (200, {}, b"<html>a captive portal</html>")),
        (False, (200, {}, b"[" * 100_000)),
        (False, (200, {}, [])),
        (False, (200, {}, {"results": 7, "next": None})),
        (False, (200, {}, {"results": []})),
        (False, (200, {}, {"results": [1], "next": 7})),
        (False, (200, {}, {"results": [1], "next": "/api/v1/teams/"})),
        (False, (200, {}, {"results": [1], "next": "http://[::bad"})),
        (False, (200, {}, {"results": [], "next": "/api/v1/teams/?after=1"})),
        (True, (200, {}, {})),
        (True, (200, {"Link": '<?a=1>; rel="next"'}, [])),
        (True, (200, {"Link": '<>; rel="next"'}, [1])),
    ],
)
def test_a_page_of_something_else_is_an_error(
    failing: FailingServer, *, is_async: bool, keys: bool, answer: Answer
) -> None:
    failing.answers[:] = [answer]
    with pytest.raises(UnexpectedResponse, match="200: the response is not one of the API"):
        _list(failing.url, keys=keys, is_async=is_async)


def test_a_page_that_names_itself_is_an_error(failing: FailingServer) -> None:
    failing.answers[:] = [(200, {}, {"results": [1], "next": "?after=1"})] * 9
    with pytest.raises(UnexpectedResponse, match="leads nowhere"):
        _list(failing.url, keys=False, is_async=False)
    assert len(failing.answers) == 7


@pytest.mark.parametrize(
    "answer",
    [
        (400, {}, {"detail": ["x"], "errors": "x"}),
        (400, {}, {"detail": 7, "errors": [7, {"field": "name"}, {"message": None}]}),
        (400, {}, b"\xff\xfe"),
        (403, {"WWW-Authenticate": 'Bearer scope="a, error="insufficient_scope", scope='}, None),
        (403, {"WWW-Authenticate": "Bearer " + 'error="insufficient_scope" ' * 1_000 + 'scope="'}, None),
        (429, {"Retry-After": "9" * 1_000}, None),
        (429, {"Retry-After": "-1"}, None),
        (503, {"Retry-After": "1e3"}, None),
        (503, {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, None),
        (200, {}, b"{"),
        (200, {"Content-Encoding": "gzip"}, b"no gzip"),
    ],
)
def test_a_malformed_response_is_an_error_of_the_client(send: Callable[..., Any], answer: Answer) -> None:
    with pytest.raises(GriddyError) as raised:
        send("GET", answer, policy=RetryPolicy(retries=0))
    assert getattr(raised.value, "retry_after", None) is None
    assert getattr(raised.value, "missing", ()) in ((), ("a,", "error="))


@pytest.mark.parametrize("path", ["https://elsewhere.example/x", "//elsewhere.example/x", "x", ""])
def test_a_request_has_a_path_and_no_address(send: Callable[..., Any], path: str) -> None:
    with pytest.raises(ValueError, match="begins with one slash"):
        send("GET", OK, path=path)


def test_a_function_returns_the_token_of_each_attempt(failing: FailingServer) -> None:
    tokens = iter("abcd")
    failing.requests.clear()
    failing.answers[:] = [(503, NOW, {"detail": "d"}), OK, (503, NOW, {"detail": "d"}), OK]
    with Griddy(failing.url, lambda: next(tokens)) as griddy:
        griddy.request("GET", "/x")

    async def token() -> str:
        return next(tokens)

    async def ask() -> None:
        async with AsyncGriddy(failing.url, token) as griddy:
            await griddy.request("GET", "/x")

    asyncio.run(ask())
    assert [sent for _, _, sent in failing.requests] == ["Bearer a", "Bearer b", "Bearer c", "Bearer d"]
