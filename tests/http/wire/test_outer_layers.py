"""The application without its outer layers responds as the complete one of Litestar does, also to what fails."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Any

import pytest
from litestar import Litestar, Request, Response, Router, WebSocket, get, websocket
from litestar.config.cors import CORSConfig
from litestar.exceptions import HTTPException, LitestarException
from litestar.params import FromPath
from litestar.response import Stream
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app.http.wire.litestar_private import RESPONSE_STARTED, without_outer_layers

pytestmark = pytest.mark.anyio


class _HandledError(Exception):
    pass


class _OtherError(Exception):
    pass


def _status(code: int) -> Any:
    return lambda _request, error: Response(f"{type(error).__name__} {code}", status_code=code)


def _application() -> Litestar:
    @get("/answered/{name:str}", sync_to_thread=False)
    def answered(name: FromPath[str], request: Request[Any, Any, Any]) -> str:
        return f"{name} {request.app.debug}"

    @get("/app", sync_to_thread=False)
    def of_the_app() -> None:
        raise _HandledError

    @get("/router", sync_to_thread=False)
    def of_the_router() -> None:
        raise _HandledError

    @get("/handler", sync_to_thread=False, exception_handlers={_HandledError: _status(420)})
    def of_the_handler() -> None:
        raise _HandledError

    @get("/unhandled", sync_to_thread=False)
    def unhandled() -> None:
        raise _OtherError

    @get("/http", sync_to_thread=False)
    def of_http() -> None:
        raise HTTPException(status_code=409, detail="conflict", headers={"x-more": "1"})

    @get("/started", sync_to_thread=False)
    def started() -> Stream:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"first"
            raise _HandledError

        return Stream(chunks())

    @websocket("/socket")
    async def socket(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        await socket.send_text("accepted")
        raise _HandledError

    def passing(app: ASGIApp) -> ASGIApp:
        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope, receive, send)

        return call

    @get("/behind", sync_to_thread=False, middleware=[passing], exception_handlers={_HandledError: _status(421)})
    def behind() -> None:
        raise _HandledError

    @get("/places/{path:path}", sync_to_thread=False)
    def places(path: FromPath[str], request: Request[Any, Any, Any]) -> list[str]:
        return [path, request.url.path, str(request.path_params), str(request.scope["path_template"])]

    inner = Router(
        "/inner", route_handlers=[of_the_router, of_the_handler], exception_handlers={_HandledError: _status(419)}
    )
    handlers: list[Any] = [answered, of_the_app, unhandled, of_http, started, socket, behind, places, inner]
    return Litestar(handlers, exception_handlers={_HandledError: _status(418)}, logging_config=None)


async def _mark(message: Message, _: Scope) -> None:
    if message["type"] == "http.response.start":
        message["headers"] = [*message["headers"], (b"x-mark", b"1")]


@cache
def _both() -> tuple[ASGIApp, ASGIApp]:
    app = _application()
    return app, without_outer_layers(app)


def _request(path: str, method: str = "GET") -> Any:
    return {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "headers": [(b"host", b"api.example")], "http_version": "1.1", "scheme": "http",
    }  # fmt: skip


async def _sent(app: ASGIApp, scope: Any) -> list[Any]:
    """The messages that are sent for a request, and the exception that is raised."""
    sent: list[Any] = []
    received: Iterator[Any] = iter(
        [{"type": "websocket.connect"}, {"type": "http.request", "body": b"", "more_body": False}]
    )

    async def receive() -> Any:
        return next(each for each in received if each["type"].startswith(scope["type"]))

    async def send(message: Any) -> None:
        sent.append(dict(message))
        if message["type"] == "http.response.start":  # as the layer around the application does
            scope.setdefault("state", {})[RESPONSE_STARTED] = True

    try:
        await app(scope, receive, send)
    except Exception as error:  # noqa: BLE001  # to be compared
        sent.append((type(error), str(error), type(error.__cause__)))
    return sent


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    [
        *("/answered/a", "/answered/a/", "/app", "/inner/router", "/inner/handler", "/unhandled", "/http", "/started"),
        *("/missing", "/inner", "//app", "", "/behind", "/places/a/b", "/places//a/b//", "/places/é"),
    ],
)
async def test_without_its_outer_layers_the_application_responds_alike(method: str, path: str) -> None:
    found = []
    for app in _both():
        for _ in range(2):  # the second one from the caches
            found.append(await _sent(app, _request(path, method)))
    assert found[0] == found[1] == found[2] == found[3]
    assert found[0]
    statuses = {
        "/app": 418,
        "/inner/router": 419,
        "/inner/handler": 420,
        "/unhandled": 500,
        "/http": 409,
        "/missing": 404,
        "/behind": 421,
    }
    if method == "GET" and path in statuses:
        assert found[0][0]["status"] == statuses[path]
    if method == "GET" and path == "/started":
        assert found[0][-1][0] is LitestarException, "the server ends the connection"


async def test_without_its_outer_layers_the_application_refuses_invalid_hosts_and_fails_sockets_alike() -> None:
    for kind, path, host in (("http", "/app", b"a b"), ("websocket", "/socket", b"a"), ("websocket", "/missing", b"a")):
        found = []
        for app in _both():
            scope: Any = {"type": kind, "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
                     "headers": [(b"host", host)], "http_version": "1.1", "scheme": kind}  # fmt: skip
            if kind == "http":
                scope["method"] = "GET"
            found.append(await _sent(app, scope))
        assert found[0] == found[1]
        assert found[0]


@pytest.mark.parametrize("hosts", [[], [b"a b"], [b"a", b"a b"], [b"a b", b"a"], [b""], [b"A:80"]])
@pytest.mark.parametrize(
    ("root_path", "path"), [("", "/answered/a"), ("/root", "/root/answered/a"), ("/root", "/app"), ("/", "/missing")]
)
async def test_hosts_and_root_paths_are_those_of_the_router(hosts: list[bytes], root_path: str, path: str) -> None:
    found = []
    for app in _both():
        scope: Any = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
                 "root_path": root_path, "headers": [(b"host", host) for host in hosts], "http_version": "1.1",
                 "scheme": "http"}  # fmt: skip
        found.append((await _sent(app, scope), scope["path"], scope["path_params"]))
    assert found[0] == found[1]


@pytest.mark.parametrize(("others", "is_cached"), [(1_023, True), (1_024, False)])
async def test_the_routes_of_1024_paths_are_cached(others: int, *, is_cached: bool) -> None:
    found: list[Any] = []

    def is_direct(handler: Any) -> bool:
        found.append(handler)
        return False

    app = without_outer_layers(_application(), is_direct)
    for name in ("first", *range(others), "first"):
        await _sent(app, _request(f"/answered/{name}"))
    assert len(found) == others + (1 if is_cached else 2)


async def test_an_exception_of_a_handler_that_litestar_does_not_call_is_answered() -> None:
    def calling(app: ASGIApp) -> ASGIApp:
        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["route_handler"].opt:
                raise _HandledError
            await app(scope, receive, send)

        return call

    @get("/direct", opt={"direct": True}, sync_to_thread=False, exception_handlers={_HandledError: _status(419)})
    def of_the_handler() -> None: ...

    @get("/inherited", opt={"direct": True}, sync_to_thread=False)
    def of_the_app() -> None: ...

    @get("/called", sync_to_thread=False, exception_handlers={_HandledError: _status(420)})
    def called() -> None:
        raise _HandledError

    app = Litestar(
        [of_the_handler, of_the_app, called],
        middleware=[calling],
        exception_handlers={_HandledError: _status(418)},
        logging_config=None,
    )
    served = without_outer_layers(app, lambda handler: bool(handler.opt))
    for path, status in {"/direct": 419, "/inherited": 418, "/called": 420, "/absent": 404}.items():
        for _ in range(2):
            scope: Any = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
                     "root_path": "", "headers": [], "http_version": "1.1", "scheme": "http"}  # fmt: skip
            assert (await _sent(served, scope))[0]["status"] == status


async def test_an_exception_is_freed_with_its_request() -> None:
    freed = []

    class WatchedError(Exception):
        def __del__(self) -> None:
            freed.append(True)

    @get("/", sync_to_thread=False)
    def handler() -> None:
        raise WatchedError

    app = without_outer_layers(
        Litestar(
            [handler], exception_handlers={WatchedError: lambda _request, _error: Response("")}, logging_config=None
        )
    )
    scope: Any = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "root_path": "",
             "headers": [], "http_version": "1.1", "scheme": "http"}  # fmt: skip
    gc.disable()
    try:
        await _sent(app, scope)
        scope.clear()
        assert freed
    finally:
        gc.enable()


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize("options", [{}, {"cors_config": CORSConfig(["https://a.example"])}, {"before_send": [_mark]}])
async def test_an_application_with_layers_of_its_own_keeps_them(options: dict[str, Any], method: str) -> None:
    @get("/", sync_to_thread=False)
    def handler() -> str:
        return "answered"

    app = Litestar([handler], logging_config=None, **options)
    assert (without_outer_layers(app) is app) is bool(options)
    found = []
    for each in (app, without_outer_layers(app)):
        scope: Any = {
            **{"type": "http", "method": method, "path": "/", "raw_path": b"/", "query_string": b"", "root_path": ""},
            **{"http_version": "1.1", "scheme": "http"},
            "headers": [(b"origin", b"https://a.example"), (b"access-control-request-method", b"GET")],
        }
        found.append(await _sent(each, scope))
    assert found[0] == found[1]
    headers = dict(found[0][0]["headers"])
    assert (b"access-control-allow-origin" in headers) is ("cors_config" in options)
    assert (b"x-mark" in headers) is ("before_send" in options)
