"""The routes of an application, the key of each matched request, and what stands in front of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, WebSocket, asgi, get, post, route, websocket
from litestar.params import FromPath
from litestar.routes import ASGIRoute
from litestar.types import Receive, Scope, Send

from app.http.door.front import with_front
from app.http.door.route_table import CannotMount, RouteKeys, table_of
from tests.gateway.in_process import Gateway

pytestmark = pytest.mark.anyio

METHODS_OF_MOUNTS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


@get("/x/{id:int}", sync_to_thread=False)
def _read(id: FromPath[int]) -> None:  # noqa: A002  # the name in the path
    return None


@post("/x/{id:int}", sync_to_thread=False)
def _write(id: FromPath[int]) -> None:  # noqa: A002  # as above
    return None


@get("/files/{path:path}", sync_to_thread=False)
def _file(path: FromPath[Path]) -> None:
    return None


@route("/own", http_method=["GET", "OPTIONS"], status_code=200, sync_to_thread=False)
def _own() -> None:
    return None


@websocket("/socket")
async def _socket(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()


@asgi("/mounted", is_mount=True, copy_scope=True)
async def _mounted(scope: Scope, receive: Receive, send: Send) -> None:
    return None


@asgi("/plain", copy_scope=True)
async def _plain(scope: Scope, receive: Receive, send: Send) -> None:
    return None


def app_of(*handlers: Any) -> Litestar:
    return Litestar(handlers, openapi_config=None, logging_config=None)


APP = app_of(_read, _write, _file, _own, _socket, _mounted, _plain)
TABLE, KEYS = table_of(APP)


def test_each_method_of_each_route_needs_a_rule() -> None:
    methods = {template: set(TABLE.actions(template)) for template in TABLE.templates}
    assert methods.pop("/mounted/**") >= METHODS_OF_MOUNTS
    plain = methods.pop("/plain")
    assert plain >= METHODS_OF_MOUNTS
    assert methods == {
        "/x/{id}": {"GET", "POST", "OPTIONS"},
        "/files/**": {"GET", "OPTIONS"},
        "/own": {"GET", "OPTIONS"},
        "/socket": {"WEBSOCKET"},
    }
    assert not {"QUERY", "TRACE", "WEBSOCKET"} & (plain | set(TABLE.actions("/mounted/**")))


def test_a_matched_request_has_one_key() -> None:
    def key(template: str, method: str = "GET", kind: str = "http", handler: object = None) -> tuple[str, str]:
        scope: Any = {"type": kind, "path_template": template, "route_handler": handler}
        if kind == "http":
            scope["method"] = method
        return KEYS.key(scope)

    (mounted,) = [
        each.route_handler for each in APP.routes if isinstance(each, ASGIRoute) and each.route_handler.is_mount
    ]
    assert key("/x/{id}") == ("/x/{id}", "GET")
    assert key("/x/{id}", "DELETE") == ("/x/{id}", "DELETE")
    assert key("/files/{path}") == ("/files/**", "GET")
    assert key("/socket", kind="websocket") == ("/socket", "WEBSOCKET")
    for template in ("/mounted", "/x/{id}", ""):
        assert key(template, "PUT", handler=mounted) == ("/mounted/**", "PUT")
    for unknown in ("", "/x", "/x/{id:int}", "/files/**", "/mounted"):
        assert key(unknown) == ("", "GET"), "which no rule matches"
    asked: Any = {"type": "http", "method": "GET", "path_template": "/a"}
    assert RouteKeys({"/a": "/b"}, {}).key(asked) == ("/b", "GET"), "without mounts the handler does not matter"


def test_options_have_the_methods_of_a_route_unless_it_has_a_handler_for_them() -> None:
    assert KEYS.options.keys() == {"/x/{id}", "/files/{path}"}
    found = KEYS.options["/x/{id}"]
    assert (found.status, found.headers, found.body) == (204, ((b"allow", b"GET, OPTIONS, POST"),), b"")


def test_an_application_is_mounted_at_one_path() -> None:
    @asgi(["/b", "/a"], is_mount=True, copy_scope=True)
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        return None

    with pytest.raises(CannotMount, match="one handler is mounted at /a, /b: mount it once for each path"):
        table_of(app_of(mounted))


@pytest.mark.parametrize(
    ("path", "reached"),
    [
        ("/gateway/nginx", "a gateway"),
        ("/gateway", "the application"),
        ("/oauth/token", "the application for any site"),
        ("/.well-known/oauth-protected-resource", "the application for any site"),
        ("/oauth/introspect", "the application"),
        ("/api/v1/teams", "the application"),
        ("/x/oauth/token", "the application"),
        ("", "the application"),
        (None, "the application"),
    ],
)
async def test_endpoints_in_front_of_the_application_are_those_of_their_paths(
    tmp_path: Path, path: str | None, reached: str
) -> None:
    sent: list[Any] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 299, "headers": []})

    async def receive() -> Any:
        raise AssertionError("no body is read")

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "lifespan"}
    if path is not None:
        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
        scope["headers"] = [(b"origin", b"https://any.example")]
    await with_front(application, Gateway(tmp_path).door)(scope, receive, send)
    is_open = b"access-control-allow-origin" in dict(sent[0]["headers"])
    expected = {"a gateway": (403, False), "the application": (299, False), "the application for any site": (299, True)}
    assert (sent[0]["status"], is_open) == expected[reached]
