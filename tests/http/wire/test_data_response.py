"""The response with what a handler returned equals that of Litestar, whatever the handler and its settings are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID
from weakref import ref

import pytest
from litestar import Litestar, MediaType, Request, Response, route
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import Cookie, ResponseHeader
from litestar.types import Empty
from msgspec import Struct
from pydantic import BaseModel

from app.http.wire.data_response import DataResponse, EncodedResponse

pytestmark = pytest.mark.anyio


class _Color(Enum):
    RED = "red"


class _Model(BaseModel):
    name: str
    at: datetime


@dataclass
class _Point:
    x: int
    y: float


class _Size(Struct):
    width: int


class _Own:
    def __init__(self, value: int) -> None:
        self.value = value


_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_CONTENTS: tuple[Any, ...] = (
    *({"name": "Zoë"}, {}, [], [1, 2.5, None, True], None, 0, False, 17, "text", "", b"bytes", b"", "\ud800"),
    *(_Color.RED, _Model(name="a", at=_AT), [_Model(name="b", at=_AT)], _Point(1, 2.0), _Size(3), {"at": _AT}),
    *({"id": UUID(int=7)}, {"own": _Own(1)}, {1: object()}, float("nan"), Empty, {"text": "x" * 10_000}),
)
_OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"media_type": MediaType.TEXT},
    {"media_type": "application/problem+json"},
    {"media_type": MediaType.MESSAGEPACK},
    {"status_code": 201},
    {"response_headers": [ResponseHeader(name="X-More", value="1")]},
    {"response_headers": [ResponseHeader(name="Content-Type", value="application/other")]},
    {"response_cookies": [Cookie(key="c", value="v")]},
    {"type_encoders": {_Own: lambda own: own.value}},
)


async def _answer(app: Litestar, method: str = "GET") -> object:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: Any = {
        **{"type": "http", "method": method, "path": "/", "raw_path": b"/", "query_string": b"", "headers": []},
        **{"root_path": "", "server": ("a", 80), "client": ("b", 1), "scheme": "http"},
    }
    await app(scope, receive, send)
    return sent


def _both(content_of: Callable[[], Any], **options: Any) -> list[Litestar]:
    """An application with each of both classes of responses."""
    # Two handlers, since one decides for all copies of it how a response is made.
    found = []
    for kind in (Response, DataResponse):

        @route("/", http_method=["GET", "HEAD"], sync_to_thread=False, **options)
        def handler() -> Any:
            return content_of()

        found.append(Litestar([handler], response_class=kind, openapi_config=None, logging_config=None))
    return found


@pytest.mark.parametrize("options", _OPTIONS, ids=", ".join)
async def test_responses_are_equal(options: dict[str, Any]) -> None:
    content: Any = None
    theirs, ours = _both(lambda: content, **options)
    for content in _CONTENTS:  # the handlers return it
        for method in ("GET", "HEAD", "GET"):
            assert await _answer(ours, method) == await _answer(theirs, method), content


@pytest.mark.parametrize("changes", [("header",), ("cookie",), ("background",), ("header", "cookie", "background"), ()])
async def test_a_hook_may_change_the_response(changes: tuple[str, ...]) -> None:
    ran: list[str] = []

    def change(response: Response[Any]) -> Response[Any]:
        if "header" in changes:
            response.set_header("x-later", "1")
        if "cookie" in changes:
            response.set_cookie("k", "v")
        if "background" in changes:
            response.background = BackgroundTask(ran.append, "after")
        return response

    theirs, ours = _both(lambda: {"a": 1}, after_request=change)
    assert await _answer(ours) == await _answer(theirs)
    assert ran == ["after", "after"] * ("background" in changes)


@pytest.mark.parametrize("status", [101, 103, 199, 200, 204, 205, 299, 304, 400])
async def test_a_handler_may_return_nothing_with_any_status(status: int) -> None:
    applications = []
    for kind in (Response, DataResponse):

        @route("/", http_method=["GET"], status_code=status, media_type=MediaType.JSON, sync_to_thread=False)
        def handler() -> None:
            return None

        applications.append(Litestar([handler], response_class=kind, openapi_config=None, logging_config=None))
    theirs, ours = applications
    assert await _answer(ours) == await _answer(theirs)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"media_type": MediaType.JSON},
        {"status_code": 200},
        {"type_encoders": {_Own: str}},
        {"headers": {"x-a": "1"}},
    ],
    ids=str,
)
def test_a_response_has_the_attributes_of_that_of_litestar(options: dict[str, Any]) -> None:
    names = ("content", "background", "cookies", "encoding", "headers", "media_type", "status_code")
    theirs, ours = (kind({"a": 1}, **options) for kind in (Response, DataResponse))
    for name in (*names, "response_type_encoders"):
        assert getattr(ours, name) == getattr(theirs, name), name


async def test_a_response_of_the_handler_is_sent_as_it_is() -> None:
    theirs, ours = _both(lambda: Response({"a": 1}, status_code=418, headers={"x-own": "1"}))
    assert await _answer(ours) == await _answer(theirs)


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"x-a": "1"}},
        {"cookies": {"a": "b"}},
        {"encoding": "latin-1"},
        {"status_code": 204, "content": None},
        {"status_code": 304, "content": None},
        {"media_type": "text/plain", "content": "é"},
    ],
    ids=str,
)
async def test_options_of_the_class_are_those_of_litestar(options: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"content": {"a": 1}, "media_type": MediaType.JSON, "status_code": 200, **options}
    kind: type[Response[Any]] = Response
    application, _ = _both(lambda: kind(**settings))
    theirs = await _answer(application)
    kind = DataResponse
    assert await _answer(application) == theirs


@pytest.mark.parametrize("type_encoders", [None, {}, {_Own: lambda own: own.value}], ids=["none", "empty", "one"])
@pytest.mark.parametrize("status", [200, 201, 400, 599])
async def test_plain_json_is_not_made_by_litestar(status: int, type_encoders: Any) -> None:
    request: Any = None
    for _ in range(2):  # the second one with a cached encoder
        content = {"a": [_Own(1)] if type_encoders else [1]}
        response = DataResponse(content, media_type="application/json", status_code=status, type_encoders=type_encoders)
        found = response.to_asgi_response(None, request, headers={}, cookies=frozenset())
        assert isinstance(found, EncodedResponse)
        assert (found.status_code, found.body) == (status, b'{"a":[1]}')


class _Encoders(dict[Any, Any]):
    """Type encoders of a handler, to which there are weak references."""


@pytest.mark.parametrize(("others", "is_cached"), [(9_999, True), (10_000, False)])
def test_the_encoders_of_10000_handlers_are_cached(
    monkeypatch: pytest.MonkeyPatch, others: int, *, is_cached: bool
) -> None:
    monkeypatch.setattr("app.http.wire.data_response._encoders", {})

    def respond(encoders: Any) -> None:
        response = DataResponse(1, media_type="application/json", status_code=200, type_encoders=encoders)
        response.to_asgi_response(None, None)  # type: ignore[arg-type]  # the request is not read

    first = _Encoders({_Own: str})
    cached = ref(first)
    respond(first)
    del first
    for number in range(others):
        respond({_Own: str, number: str})
        respond(None)  # which has none of its own
    assert (cached() is not None) is is_cached


@pytest.mark.parametrize("options", [{}, {"status_code": 200}, {"media_type": "application/json"}], ids=str)
def test_a_response_without_a_status_or_type_is_made_by_litestar(options: dict[str, Any]) -> None:
    scope: Any = {"type": "http", "method": "GET", "headers": [], "path": "/"}
    request: Any = Request(scope)
    sent: list[Any] = []
    for kind in (Response, DataResponse):
        made: Any = kind({"a": 1}, **options).to_asgi_response(None, request)
        assert not isinstance(made, EncodedResponse)
        sent.append((made.status_code, made.body, sorted(made.encode_headers())))
    assert sent[0] == sent[1]
