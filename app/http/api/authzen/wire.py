"""Strict parser of AuthZEN bodies: a known field must have its type, and unknown fields are ignored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from msgspec import UNSET, Raw, Struct, UnsetType

from app.http.wire.json_body import NOT_JSON
from app.http.wire.problems import Problem
from app.policy.language.when.shape import Properties
from app.services import AnyRequest

MAX_ITEMS = 1_000  # of a batch
# In a text that is decoded in one go, for two milliseconds: as many lists as fit in a body take a fifth of a second.
MAX_DECODED = 50_000
_T = TypeVar("_T")
NOTHING: Properties = MappingProxyType({})
_BODY = "The request body"
_UTF8 = ("utf-8", "utf8")
_BODY_HEADERS = (b"content-type", b"content-encoding")
_PLAIN = [(b"content-type", b"application/json")]
_MSGSPEC_MESSAGE = re.compile(
    r"Expected `(?P<expected>[^`]+)`(?: of at most length (?P<most>\d+))?(?:, got `(?P<found>[^`]+)`)?"
    r"(?: - at `(?P<place>[^`]+)`)?"
)
_TYPE_NAMES = {
    "str": "a string",
    "object": "an object",
    "array": "an array",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "null": "null",
}


class EntityType(Struct, frozen=True):
    """The type of entities to search for. An id is ignored like any unknown field."""

    type: str | UnsetType = UNSET
    properties: dict[str, Any] | UnsetType = UNSET


class RequestedEntity(EntityType, frozen=True):
    """A subject or resource. In an item of a batch, members that the defaults have may be omitted."""

    id: str | UnsetType = UNSET


class RequestedAction(Struct, frozen=True):
    """An action."""

    name: str | UnsetType = UNSET
    properties: dict[str, Any] | UnsetType = UNSET


class EvaluationOptions(Struct, frozen=True):
    """The options of a request. `explain`, which adds the reason of each decision, is our extension."""

    evaluations_semantic: str | UnsetType = UNSET
    explain: bool = False


class AccessQuestion(Struct, frozen=True):
    """Subject, action, resource and context of an evaluation, of an item, or of the defaults of items."""

    subject: RequestedEntity | UnsetType = UNSET
    action: RequestedAction | UnsetType = UNSET
    resource: RequestedEntity | UnsetType = UNSET
    context: dict[str, Any] | UnsetType = UNSET


class Evaluation(AccessQuestion, frozen=True):
    """The body of an evaluation."""

    options: EvaluationOptions = EvaluationOptions()


class Evaluations(Evaluation, frozen=True):
    """The body of evaluations. Items are parsed one by one, because an invalid item is a denial, not an error."""

    evaluations: Raw | UnsetType = UNSET


class _Items(Struct):
    """The only member of the body of evaluations that may have more than MAX_DECODED values."""

    evaluations: Raw | UnsetType = UNSET


_ITEMS = msgspec.json.Decoder(_Items)
# Unlike that of a list, the decoder stops at the first item that is too much.
_SPLIT = msgspec.json.Decoder(
    msgspec.defstruct(
        "Split",
        [(f"item_{number}", Raw | UnsetType, UNSET) for number in range(MAX_ITEMS)],
        array_like=True,
        forbid_unknown_fields=True,
    )
)


class RequestedPage(Struct, frozen=True):
    """The part of the results to return."""

    limit: int | UnsetType = UNSET
    token: str | UnsetType = UNSET


class Paged(Struct, frozen=True):
    """The members of all searches."""

    context: dict[str, Any] | UnsetType = UNSET
    page: RequestedPage | UnsetType = UNSET


class SubjectSearch(Paged, frozen=True):
    """The body of a search for subjects."""

    subject: EntityType | UnsetType = UNSET
    action: RequestedAction | UnsetType = UNSET
    resource: RequestedEntity | UnsetType = UNSET


class ResourceSearch(Paged, frozen=True):
    """The body of a search for resources."""

    subject: RequestedEntity | UnsetType = UNSET
    action: RequestedAction | UnsetType = UNSET
    resource: EntityType | UnsetType = UNSET


class ActionSearch(Paged, frozen=True):
    """The body of a search for actions."""

    subject: RequestedEntity | UnsetType = UNSET
    resource: RequestedEntity | UnsetType = UNSET


async def read(request: AnyRequest, decoder: msgspec.json.Decoder[_T]) -> _T:
    """Read the body. Raises Problem 400 if it is not a JSON object with fields of the right types."""
    return decode(await read_text(request), decoder)


async def read_text(request: AnyRequest) -> bytes:
    """Read the body without decoding it. Raises Problem 400 if it is empty, or not JSON by its headers."""
    if not _is_plain(request.scope["headers"]):
        _check_headers(request)
    body = await _body(request)
    if not body:
        raise Problem(400, "The request body is empty: send a JSON object.")
    return body


async def _body(request: AnyRequest) -> bytes:
    """Read the body in half the time of `request.body`: most bodies are one message, and none needs to be cached."""
    limit = request.route_handler.resolve_request_max_body_size()
    pieces, size, more = list[bytes](), 0, True
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            raise Problem(400, "The request ended before its body did.")
        piece = message.get("body", b"")
        pieces.append(piece)
        size += len(piece)
        if limit is not None and size > limit:
            raise RequestEntityTooLarge
        more = message.get("more_body", False)
    return b"".join(pieces)


def _is_plain(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the headers are those of nearly all requests, so that they need not be parsed."""
    return [each for each in headers if each[0] in _BODY_HEADERS] == _PLAIN


def _check_headers(request: AnyRequest) -> None:
    kind, parameters = request.content_type
    if kind != "application/json":
        raise Problem(400, NOT_JSON)
    if parameters.get("charset", "utf-8").strip('"').lower() not in _UTF8:
        raise Problem(400, "The request body must be in UTF-8.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(400, "The request body must not be compressed.")


def decode_evaluations(body: bytes, decoder: msgspec.json.Decoder[Evaluations]) -> tuple[Evaluations, list[Raw]]:
    """Decode the body of evaluations but for its items. Raises Problem 400."""
    if len(body) > MAX_DECODED:
        items = _decode(body, _ITEMS, _BODY).evaluations
        _check_values(_most_values(body) - (0 if items is UNSET else _most_values(bytes(items))), _BODY)
    found = _decode(body, decoder, _BODY)
    if found.evaluations is UNSET:
        return found, []
    split = msgspec.structs.astuple(_decode(found.evaluations, _SPLIT, "`evaluations`"))
    return found, [item for item in split if item is not UNSET]


def decode(body: bytes | Raw, decoder: msgspec.json.Decoder[_T], what: str = _BODY) -> _T:
    """Decode JSON. Raises Problem 400 with the invalid field; `what` is the name of the text in the message."""
    if len(memoryview(body)) > MAX_DECODED:
        _check_values(_most_values(bytes(body)), what)
    return _decode(body, decoder, what)


def _most_values(text: bytes) -> int:
    """The largest number of values that a text can have. It is too high if there are commas or brackets in strings."""
    return text.count(b",") + text.count(b"[") + text.count(b"{") + 1


def _check_values(most: int, what: str) -> None:
    if most > MAX_DECODED:
        raise Problem(400, f"{what} has too many commas and brackets, and so too many values: over {MAX_DECODED}.")


def _decode(body: bytes | Raw, decoder: msgspec.json.Decoder[_T], what: str) -> _T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Problem(400, _reworded(str(error), what)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Problem(400, f"{what} is not valid JSON.") from None
    except RecursionError:
        raise Problem(400, f"{what} is nested too deeply.") from None


def _reworded(message: str, what: str) -> str:
    """Reword a message of msgspec such as "Expected `str`, got `int` - at `$.action.name`"."""
    match = _MSGSPEC_MESSAGE.match(message)
    if match is None:
        return f"{what} is invalid: {message}."
    if match["most"]:
        return f"{what} must have at most {match['most']} items."
    place = (match["place"] or "$").removeprefix("$").removeprefix(".")
    expected = " or ".join(_TYPE_NAMES.get(name, name) for name in match["expected"].split(" | "))
    found = f", not {_TYPE_NAMES.get(match['found'], match['found'])}" if match["found"] else ""
    return f"`{place}` must be {expected}{found}." if place else f"{what} must be {expected}{found}."


def missing_field(**fields: object) -> str:
    """The first required field that is missing, such as `subject.id`; empty if none is."""
    for name, value in fields.items():
        if isinstance(value, RequestedAction):
            if value.name is UNSET:
                return f"{name}.name"
        elif not isinstance(value, EntityType):
            return name
        elif value.type is UNSET:
            return f"{name}.type"
        elif isinstance(value, RequestedEntity) and value.id is UNSET:
            return f"{name}.id"
    return ""


def entity_parts(entity: RequestedEntity | UnsetType) -> tuple[str, str, Properties]:
    """Type, id and attributes of a complete entity."""
    assert isinstance(entity, RequestedEntity)
    return entity.type or "", entity.id or "", entity.properties or NOTHING


def type_parts(kind: EntityType | UnsetType) -> tuple[str, Properties]:
    """Type and attributes of the entities to search for."""
    assert isinstance(kind, EntityType)
    return kind.type or "", kind.properties or NOTHING


def action_parts(action: RequestedAction | UnsetType) -> tuple[str, Properties]:
    """Name and attributes of a complete action."""
    assert isinstance(action, RequestedAction)
    return action.name or "", action.properties or NOTHING
