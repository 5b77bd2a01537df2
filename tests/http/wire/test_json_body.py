"""Hooks that refuse a request body that is not JSON: what is accepted, and the status and detail of each refusal."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from litestar import Litestar, post
from litestar.response.base import ASGIResponse

from app.db.disk import SHORT, DiskShortage
from app.http.api import domain_problems
from app.http.wire import errors
from app.http.wire.json_body import json_or_nothing, json_where_room, only_json
from app.services import AnyRequest
from tests.support.services import state_of

pytestmark = pytest.mark.anyio

NOT_JSON = (415, "The request body must be JSON: send Content-Type: application/json.")
NOT_UTF8 = (415, "The request body must be in UTF-8.")
COMPRESSED = (415, "The request body must not be compressed.")
KIND = ("Content-Type", "application/json")


class Disk:
    """A disk with or without room."""

    has_room = True

    def require_space(self) -> None:
        """Raises DiskShortage without room."""
        if not self.has_room:
            raise DiskShortage(SHORT)


async def _length(request: AnyRequest) -> ASGIResponse:
    return ASGIResponse(body=b'{"detail":"%d"}' % len(await request.body()))


DISK = Disk()
APP = Litestar(
    [
        post(f"/{hook.__name__}", before_request=hook, status_code=200)(_length)
        for hook in (only_json, json_where_room, json_or_nothing)
    ],
    exception_handlers={**errors.HANDLERS, **domain_problems.HANDLERS},
    state=state_of(disk=DISK),
    openapi_config=None,
)


async def sent(content: bytes, *headers: tuple[str, str], hook: Any = only_json) -> tuple[int, str]:
    """The status of the response to a body, and its detail: the length of a body that is accepted."""
    messages: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    path = f"/{hook.__name__}"
    scope: Any = {
        **{"type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": path},
        **{"raw_path": path.encode(), "root_path": "", "query_string": b"", "client": ("127.0.0.1", 1)},
        **{"server": ("a", 80), "extensions": {}, "asgi": {"version": "3.0"}},
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }
    await APP(scope, receive, send)
    return messages[0]["status"], msgspec.json.decode(messages[1]["body"])["detail"]


@pytest.mark.parametrize("hook", [only_json, json_where_room, json_or_nothing])
@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        *(
            ([("Content-Type", kind)], None)
            for kind in ("application/json", "Application/JSON", "application/merge-patch+json")
        ),
        *(
            ([("Content-Type", f"application/json; charset={name}")], None)
            for name in ("utf-8", "UTF-8", "utf8", '"utf-8"')
        ),
        ([KIND, ("Content-Encoding", "identity")], None),
        ([KIND, ("Content-Encoding", "Identity")], None),
        *(
            ([("Content-Type", kind)], NOT_JSON)
            for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/x+json", "json")
        ),
        ([("Content-Type", "application/json+xml")], NOT_JSON),
        ([], NOT_JSON),
        *(([("Content-Type", f"application/json; charset={name}")], NOT_UTF8) for name in ("latin-1", "utf-16")),
        *(([KIND, ("Content-Encoding", coding)], COMPRESSED) for coding in ("gzip", "br", "identity, gzip", "")),
    ],
    ids=str,
)
async def test_the_headers_say_that_a_body_is_plain_json(
    hook: Any, headers: list[tuple[str, str]], refusal: tuple[int, str] | None
) -> None:
    assert await sent(b'{"a": 1}', *headers, hook=hook) == (refusal or (200, "8"))


@pytest.mark.parametrize("hook", [only_json, json_where_room, json_or_nothing])
@pytest.mark.parametrize(
    ("content", "detail"),
    [
        *((content, "The request body is not valid JSON.") for content in (b"{", b"{'a': 1}", b'{"a": 1} x', b"a=1")),
        (b'{"a": "\xff"}', "The request body is not valid UTF-8."),
        *((content, "The request body must be a JSON object.") for content in (b"[]", b"[{}]", b"7", b'"a"', b"null")),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "The request body is nested too deeply."),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_body_is_a_json_object(hook: Any, content: bytes, detail: str) -> None:
    assert await sent(content, KIND, hook=hook) == (400, detail)
    assert await sent(b"{}", KIND, hook=hook) == (200, "2")


async def test_a_body_may_be_absent_where_a_handler_says_so() -> None:
    for headers in ((), (KIND,), (("Content-Type", "text/plain"),)):
        assert await sent(b"", *headers, hook=json_or_nothing) == (200, "0")
    assert await sent(b" ", KIND, hook=json_or_nothing) == (400, "The request body is not valid JSON.")
    for hook in (only_json, json_where_room):
        assert (await sent(b"", KIND, hook=hook))[0] == 400
        assert await sent(b"", hook=hook) == NOT_JSON


async def test_without_room_nothing_is_read_that_makes_the_database_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DISK, "has_room", False)
    for content in (b"{}", b"{"):
        assert await sent(content, KIND, hook=json_where_room) == (503, SHORT)
    for hook in (only_json, json_or_nothing):
        assert await sent(b"{}", KIND, hook=hook) == (200, "2")
