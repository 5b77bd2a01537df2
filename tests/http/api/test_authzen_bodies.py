"""Reading the bodies of AuthZEN requests: accepted ones, and the message of each refusal."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from litestar import Litestar, Request, post
from litestar.response.base import ASGIResponse
from msgspec import UNSET

from app.http.api.authzen.wire import (
    AccessQuestion,
    EntityType,
    Evaluations,
    RequestedAction,
    RequestedEntity,
    SubjectSearch,
    action_parts,
    decode,
    entity_parts,
    missing_field,
    read,
    type_parts,
)
from app.http.wire.errors import HANDLERS
from app.http.wire.problems import Problem
from app.services import AnyRequest

pytestmark = pytest.mark.anyio

_QUESTION = msgspec.json.Decoder(AccessQuestion)
JSON = "application/json"
NOT_JSON = "The request body must be JSON: send Content-Type: application/json."
NOT_UTF8 = "The request body must be in UTF-8."
COMPRESSED = "The request body must not be compressed."


@post("/", request_max_body_size=100, status_code=200)
async def ask(request: AnyRequest) -> ASGIResponse:
    """Return what was read."""
    return ASGIResponse(body=msgspec.json.encode(await read(request, _QUESTION)))


@post("/unlimited", request_max_body_size=None, status_code=200)
async def ask_without_limit(request: AnyRequest) -> ASGIResponse:
    """What was read."""
    return ASGIResponse(body=msgspec.json.encode(await read(request, _QUESTION)))


APP = Litestar([ask, ask_without_limit], exception_handlers=HANDLERS)


async def exchange(messages: list[Any], *headers: tuple[str, str], path: str = "/") -> tuple[int, Any]:
    """The status of the answer to a request of these messages, and what was read or the reason of the refusal."""
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": path,
        "raw_path": path.encode(), "root_path": "", "query_string": b"", "client": ("127.0.0.1", 1),
        "server": ("a", 80), "extensions": {}, "asgi": {"version": "3.0"},
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }  # fmt: skip
    await APP(scope, receive, send)
    body = msgspec.json.decode(sent[1]["body"])
    return sent[0]["status"], body.get("detail", body)


def in_pieces(content: bytes, pieces: int = 1) -> list[Any]:
    """The messages of a body."""
    size = -(-len(content) // pieces) or 1
    parts = [content[start : start + size] for start in range(0, len(content), size)] or [b""]
    return [
        {"type": "http.request", "body": part, "more_body": number < len(parts)} for number, part in enumerate(parts, 1)
    ]


async def posted(content: bytes, *headers: tuple[str, str]) -> tuple[int, Any]:
    """As `exchange`, for a body in one message."""
    return await exchange(in_pieces(content), *headers)


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ([("Content-Type", JSON)], None),
        *(([("Content-Type", f"{JSON}; charset={name}")], None) for name in ("utf-8", "UTF-8", "utf8", '"utf-8"')),
        ([("Content-Type", JSON), ("Content-Encoding", "identity")], None),
        ([("Content-Type", "APPLICATION/JSON"), ("Content-Encoding", "Identity")], None),
        ([("Content-Type", JSON), ("Content-Encoding", "gzip")], COMPRESSED),
        ([("Content-Type", JSON), ("Content-Encoding", "")], COMPRESSED),
        *(([("Content-Type", f"{JSON}; charset={name}")], NOT_UTF8) for name in ("latin-1", "utf-16", "utf-8x")),
        *(([("Content-Type", kind)], NOT_JSON) for kind in ("text/plain", "application/problem+json", "json", "")),
        ([], NOT_JSON),
    ],
)
async def test_a_body_must_be_declared_as_json(headers: list[tuple[str, str]], detail: str | None) -> None:
    status, found = await posted(b'{"subject":{"type":"user"}}', *headers)
    assert (status, found) == ((400, detail) if detail else (200, {"subject": {"type": "user"}}))


async def test_the_headers_of_most_requests_are_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(_: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(Request, "content_type", property(parse))
    for more in ([], [("Accept", "*/*"), ("Content-Length", "2"), ("X-Request-ID", "1")]):
        for headers in ([("Content-Type", JSON), *more], [*more, ("Content-Type", JSON)]):
            assert await posted(b"{}", *headers) == (200, {})
    for headers in ([], [("Content-Type", JSON)] * 2, [("Content-Type", JSON), ("Content-Encoding", "gzip")]):
        assert (await posted(b"{}", *headers))[0] == 500


@pytest.mark.parametrize("pieces", [1, 2, 100])
@pytest.mark.parametrize(("size", "status"), [(99, 200), (100, 200), (101, 413), (400, 413)])
async def test_the_size_of_a_body_is_bounded(size: int, status: int, pieces: int) -> None:
    messages = in_pieces(b"{}".ljust(size), pieces)
    assert (await exchange(messages, ("Content-Type", JSON)))[0] == status


async def test_a_handler_without_a_limit_reads_any_body() -> None:
    messages = in_pieces(b"{}".ljust(400), 2)
    assert await exchange(messages, ("Content-Type", JSON), path="/unlimited") == (200, {})


async def test_the_last_message_may_be_empty() -> None:
    messages = [{"type": "http.request", "body": b"{}", "more_body": True}, {"type": "http.request"}]
    assert await exchange(messages, ("Content-Type", JSON)) == (200, {})


async def test_a_body_that_ends_early_is_refused() -> None:
    messages = [{"type": "http.request", "body": b"{}", "more_body": True}, {"type": "http.disconnect"}]
    refused = (400, "The request ended before its body did.")
    assert await exchange(messages, ("Content-Type", JSON)) == refused
    assert not messages


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "The request body is empty: send a JSON object."),
        (b"{", "The request body is not valid JSON."),
        (b'{"subject":{"id":"\xff"}}', "The request body is not valid JSON."),
        (b"[]", "The request body must be an object, not an array."),
        (b"7", "The request body must be an object, not a whole number."),
        (b"null", "The request body must be an object, not null."),
        (b'{"subject":1}', "`subject` must be an object, not a whole number."),
        (b'{"subject":{"id":1.5}}', "`subject.id` must be a string, not a number."),
        (b'{"action":{"name":true}}', "`action.name` must be a string, not true or false."),
        (b'{"action":{"name":null}}', "`action.name` must be a string, not null."),
        (b'{"resource":{"properties":[]}}', "`resource.properties` must be an object, not an array."),
        (b'{"context":"x"}', "`context` must be an object, not a string."),
    ],
)
async def test_an_invalid_body_is_refused_with_a_reason(content: bytes, detail: str) -> None:
    assert await posted(content, ("Content-Type", JSON)) == (400, detail)


def test_invalid_text_is_refused_with_its_fault() -> None:
    for content, detail in (
        (b"{", "The item is not valid JSON."),
        (b"[]", "The item must be an object, not an array."),
    ):
        with pytest.raises(Problem) as refused:
            decode(content, _QUESTION, "The item")
        assert (refused.value.status, refused.value.detail) == (400, detail)
    deep = b'{"context":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001
    with pytest.raises(Problem) as refused:
        decode(deep, _QUESTION, "The item")
    assert (refused.value.status, refused.value.detail) == (400, "The item is nested too deeply.")


@pytest.mark.parametrize(
    ("number", "fault"), [(b"1" + b"0" * 5_000, "Integer"), (b"-1" + b"0" * 5_000, "Integer"), (b"1e400", "Number")]
)
@pytest.mark.parametrize(
    ("place", "named"), [(b'"page":{"limit":%s}', "page.limit"), (b'"context":{"a":%s}', "context[...]")]
)
def test_a_number_beyond_its_range_is_refused(place: bytes, named: str, number: bytes, fault: str) -> None:
    with pytest.raises(Problem) as refused:
        decode(b"{" + place % number + b"}", msgspec.json.Decoder(SubjectSearch))
    detail = f"The request body is invalid: {fault} value out of range - at `$.{named}`."
    assert (refused.value.status, refused.value.detail) == (400, detail.replace("Number value", "Number"))


def test_missing_fields_are_unset_and_unknown_ones_are_ignored() -> None:
    body = decode(b'{"x":[1],"evaluations":[{"y":2}],"options":{}}', msgspec.json.Decoder(Evaluations))
    assert (body.subject, body.context, body.options.explain) == (UNSET, UNSET, False)
    assert body.options.evaluations_semantic is UNSET
    search = decode(b'{"subject":{"type":"user","id":7}}', msgspec.json.Decoder(SubjectSearch))
    assert type_parts(search.subject) == ("user", {})
    assert search.page is UNSET


WHOLE = RequestedEntity("record", UNSET, "7")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"subject": WHOLE, "action": RequestedAction("read"), "resource": WHOLE}, ""),
        ({"subject": WHOLE, "action": RequestedAction(""), "resource": RequestedEntity("", UNSET, "")}, ""),
        ({"subject": UNSET, "action": UNSET, "resource": UNSET}, "subject"),
        ({"subject": WHOLE, "action": UNSET, "resource": UNSET}, "action"),
        ({"subject": WHOLE, "action": RequestedAction(), "resource": UNSET}, "action.name"),
        ({"subject": WHOLE, "action": RequestedAction("read"), "resource": UNSET}, "resource"),
        ({"subject": RequestedEntity(), "resource": WHOLE}, "subject.type"),
        ({"subject": RequestedEntity("user"), "resource": WHOLE}, "subject.id"),
        ({"subject": RequestedEntity(id="7"), "resource": WHOLE}, "subject.type"),
        ({"subject": EntityType("user"), "resource": WHOLE}, ""),
        ({"subject": EntityType(), "resource": WHOLE}, "subject.type"),
        ({}, ""),
    ],
)
def test_the_first_missing_field_is_named(fields: dict[str, object], field: str) -> None:
    assert missing_field(**fields) == field


def test_names_and_attributes_of_a_complete_request() -> None:
    sent = {"a": 1}
    assert entity_parts(RequestedEntity("record", sent, "7")) == ("record", "7", sent)
    assert entity_parts(WHOLE) == ("record", "7", {})
    assert type_parts(EntityType("record", sent)) == ("record", sent)
    assert action_parts(RequestedAction("read", sent)) == ("read", sent)
    assert action_parts(RequestedAction("read")) == ("read", {})
