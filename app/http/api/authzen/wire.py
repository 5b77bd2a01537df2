"""AuthZEN's bodies, read once and strictly: a known field must have its type, and an unknown one is ignored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from msgspec import UNSET, Raw, Struct, UnsetType

from app.http.wire.problems import Problem
from app.policy.language.when.shape import Properties
from app.services import AnyRequest

_T = TypeVar("_T")
NOTHING: Properties = MappingProxyType({})
_UTF8 = ("utf-8", "utf8")
_OF_THE_BODY = (b"content-type", b"content-encoding")
_PLAIN = [(b"content-type", b"application/json")]
_MISFIT = re.compile(r"Expected `(?P<wanted>[^`]+)`(?:, got `(?P<found>[^`]+)`)?(?: - at `(?P<place>[^`]+)`)?")
_WORDS = {
    "str": "a string",
    "object": "an object",
    "array": "an array",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "null": "null",
}


class EntityType(Struct, frozen=True):
    """What a search looks for: a type of subject or resource. An id that is sent is ignored like any unknown field."""

    type: str | UnsetType = UNSET
    properties: dict[str, Any] | UnsetType = UNSET


class RequestedEntity(EntityType, frozen=True):
    """A subject or resource. An item of a batch may leave out what its defaults have."""

    id: str | UnsetType = UNSET


class RequestedAction(Struct, frozen=True):
    """What is to be done."""

    name: str | UnsetType = UNSET
    properties: dict[str, Any] | UnsetType = UNSET


class EvaluationOptions(Struct, frozen=True):
    """How to answer. `explain` is ours: why each decision is what it is."""

    evaluations_semantic: str | UnsetType = UNSET
    explain: bool = False


class AccessQuestion(Struct, frozen=True):
    """Subject, action, resource and context: of an evaluation, of an item, or the defaults of items."""

    subject: RequestedEntity | UnsetType = UNSET
    action: RequestedAction | UnsetType = UNSET
    resource: RequestedEntity | UnsetType = UNSET
    context: dict[str, Any] | UnsetType = UNSET


class Evaluation(AccessQuestion, frozen=True):
    """The body of an evaluation."""

    options: EvaluationOptions = EvaluationOptions()


class Evaluations(Evaluation, frozen=True):
    """The body of evaluations. Items are read one by one, for a bad one is false in its place."""

    evaluations: list[Raw] | UnsetType = UNSET


class RequestedPage(Struct, frozen=True):
    """Which part of the results is wanted."""

    limit: int | UnsetType = UNSET
    token: str | UnsetType = UNSET


class Paged(Struct, frozen=True):
    """What every search may have."""

    context: dict[str, Any] | UnsetType = UNSET
    page: RequestedPage | UnsetType = UNSET


class SubjectSearch(Paged, frozen=True):
    """Who may?"""

    subject: EntityType | UnsetType = UNSET
    action: RequestedAction | UnsetType = UNSET
    resource: RequestedEntity | UnsetType = UNSET


class ResourceSearch(Paged, frozen=True):
    """On what may they?"""

    subject: RequestedEntity | UnsetType = UNSET
    action: RequestedAction | UnsetType = UNSET
    resource: EntityType | UnsetType = UNSET


class ActionSearch(Paged, frozen=True):
    """What may they do?"""

    subject: RequestedEntity | UnsetType = UNSET
    resource: RequestedEntity | UnsetType = UNSET


async def read(request: AnyRequest, decoder: msgspec.json.Decoder[_T]) -> _T:
    """The body. Raises Problem 400 for whatever is no JSON object with fields of the right types."""
    if not _is_plain(request.scope["headers"]):
        _check_headers(request)
    body = await _body(request)
    if not body:
        raise Problem(400, "The request body is empty: send a JSON object.")
    return decode(body, decoder)


async def _body(request: AnyRequest) -> bytes:
    """As `request.body`, in half its time: it mostly comes in one piece and is read once."""
    limit = request.route_handler.resolve_request_max_body_size()
    body, more = b"", True
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            raise Problem(400, "The request ended before its body did.")
        body += message.get("body", b"")
        if limit is not None and len(body) > limit:
            raise RequestEntityTooLarge
        more = message.get("more_body", False)
    return body


def _is_plain(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a body says what nearly all say, so that no header needs to be parsed."""
    return [each for each in headers if each[0] in _OF_THE_BODY] == _PLAIN


def _check_headers(request: AnyRequest) -> None:
    kind, parameters = request.content_type
    if kind != "application/json":
        raise Problem(400, "The request body must be JSON: send Content-Type: application/json.")
    if parameters.get("charset", "utf-8").strip('"').lower() not in _UTF8:
        raise Problem(400, "The request body must be in UTF-8.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(400, "The request body must not be compressed.")


def decode(body: bytes | Raw, decoder: msgspec.json.Decoder[_T], what: str = "The request body") -> _T:
    """What a JSON text says. Raises Problem 400 with the field at fault; `what` names the text."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Problem(400, _told(str(error), what)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Problem(400, f"{what} is not valid JSON.") from None
    except RecursionError:
        raise Problem(400, f"{what} is nested too deeply.") from None


def _told(message: str, what: str) -> str:
    """msgspec's words in ours: "Expected `str`, got `int` - at `$.action.name`"."""
    found = _MISFIT.match(message)
    if found is None:
        return f"{what} is invalid: {message}."
    place = (found["place"] or "$").removeprefix("$").removeprefix(".")
    wanted = " or ".join(_WORDS.get(word, word) for word in found["wanted"].split(" | "))
    got = f", not {_WORDS.get(found['found'], found['found'])}" if found["found"] else ""
    return f"`{place}` must be {wanted}{got}." if place else f"{what} must be {wanted}{got}."


def lacking(**fields: object) -> str:
    """The first required field that is not there, as `subject.id`; empty when all are."""
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


def named(entity: RequestedEntity | UnsetType) -> tuple[str, str, Properties]:
    """Type, id and attributes of an entity that lacks nothing."""
    assert isinstance(entity, RequestedEntity)
    return entity.type or "", entity.id or "", entity.properties or NOTHING


def sought(kind: EntityType | UnsetType) -> tuple[str, Properties]:
    """Type and attributes of what is searched for."""
    assert isinstance(kind, EntityType)
    return kind.type or "", kind.properties or NOTHING


def acted(action: RequestedAction | UnsetType) -> tuple[str, Properties]:
    """Name and attributes of an action that lacks nothing."""
    assert isinstance(action, RequestedAction)
    return action.name or "", action.properties or NOTHING
