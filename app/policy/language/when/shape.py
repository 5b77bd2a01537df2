"""The variables of conditions: the single definition for the checker, the engine and the documentation.

The typed dictionaries below define the variables; `SCHEMA` is derived from them. A field is always present and never
null unless it is `NotRequired`: a condition must test it with `has(…)`, or fails if it is absent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Annotated, NotRequired, TypedDict, get_args, get_origin, get_type_hints

from app.policy.language.fault import did_you_mean


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a variable: its type, its meaning, and whether it is always present."""

    kind: Kind
    meaning: str
    always: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """A CEL type. `item` is the item type of a list or map, `fields` are those of a variable with a fixed shape."""

    name: str
    item: Kind | None = None
    fields: Mapping[str, Field] | None = None

    def __str__(self) -> str:
        if self.item is None:
            return self.name
        return f"map(string, {self.item})" if self.name == "map" else f"{self.name}({self.item})"


BOOL, INT, DOUBLE, STRING = Kind("bool"), Kind("int"), Kind("double"), Kind("string")
TIMESTAMP, DURATION, NULL, DYN = Kind("timestamp"), Kind("duration"), Kind("null"), Kind("dyn")

Properties = Mapping[str, object]


class Org(TypedDict):
    """The active organization of a user, or the one that an API key belongs to."""

    id: Annotated[str, "the id of the organization of a user or an API key, empty without one"]
    role: Annotated[str, "the user's role in it, empty without one"]
    slug: Annotated[str, "its name in addresses, empty without one"]


NO_ORG: Org = {"id": "", "role": "", "slug": ""}


class Subject(TypedDict):
    """Who asks."""

    type: Annotated[str, "`user`, `key`, `app`, `anonymous`, or the type that an AuthZEN caller names"]
    id: Annotated[str, "a user's `sub`, also of the user of an app, an API key's number as text, empty for a stranger"]
    owner: Annotated[str, "for an API key the `sub` of its owner or `org:<id>`, empty for all others"]
    method: Annotated[str, "`jwt`, `api_key`, `oauth`, `anonymous`, or `authzen` for who is only asked about"]
    client_id: Annotated[str, "the id of the app that acts on behalf of the user, empty for all others"]
    org: Annotated[Org, "the active organization of a user, or the one that an API key belongs to"]
    environment: Annotated[str, "`live` or `test` for an API key, empty for all others"]
    permissions: Annotated[Collection[str], "every grant in effect, roles and the server's facts included"]
    claims: Annotated[Properties, "the claims of a verified JWT, empty for all others"]
    act: Annotated[Properties, "who acts as the subject by the `act` claim of its token, empty for all others"]
    properties: Annotated[Properties, "what the policy's entities or an AuthZEN caller state of the subject"]


class Resource(TypedDict):
    """What it is about."""

    type: Annotated[str, "`route` for an endpoint, else the type of the thing"]
    id: Annotated[str, "for an endpoint its template, such as `/api/v1/teams/{team_id}`"]
    properties: Annotated[Properties, "what the policy's entities or an AuthZEN caller state of the resource"]


class Action(TypedDict):
    """What is to be done."""

    name: Annotated[str, "for an endpoint the method, such as `GET`"]
    properties: Annotated[Properties, "what an AuthZEN caller states of the action"]


class Request(TypedDict):
    """The HTTP request; over AuthZEN only its time is known."""

    time: Annotated[datetime, "when it is decided, in UTC"]
    method: NotRequired[Annotated[str, "the HTTP method"]]
    path: NotRequired[Annotated[str, "the path as it was matched, percent-decoded, without the query"]]
    ip: NotRequired[Annotated[str, "the client's address, IPv4 or IPv6"]]


class Variables(TypedDict):
    """The six variables."""

    subject: Annotated[Subject, "who asks"]
    resource: Annotated[Resource, "what it is about"]
    action: Annotated[Action, "what is to be done"]
    params: Annotated[Mapping[str, str], "the parameters of the path, as text: `params.team_id == '7'`"]
    request: Annotated[Request, "the HTTP request"]
    context: Annotated[Properties, "what an AuthZEN caller sends as context, empty in the application"]


_SCALARS = {str: STRING, bool: BOOL, int: INT, datetime: TIMESTAMP, timedelta: DURATION, object: DYN}


def _kind(annotation: object) -> Kind:
    if isinstance(annotation, type) and annotation in _SCALARS:
        return _SCALARS[annotation]
    if get_origin(annotation) is Mapping:
        return Kind("map", _kind(get_args(annotation)[1]))
    if get_origin(annotation) is Collection:
        return Kind("list", _kind(get_args(annotation)[0]))
    return Kind(getattr(annotation, "__name__", "").lower(), fields=_fields(annotation))


def _fields(shape: object) -> Mapping[str, Field]:
    fields: dict[str, Field] = {}
    for name, hint in get_type_hints(shape, include_extras=True).items():
        optional = get_origin(hint) is NotRequired
        annotation, meaning = get_args(get_args(hint)[0] if optional else hint)
        fields[name] = Field(_kind(annotation), meaning, always=not optional)
    return MappingProxyType(fields)


SCHEMA: Mapping[str, Field] = _fields(Variables)


def describe() -> Iterator[tuple[str, Field]]:
    """Every name that conditions may use, such as `request.ip`, with its field; for documentation."""
    yield from _described("", SCHEMA)


def _described(prefix: str, fields: Mapping[str, Field]) -> Iterator[tuple[str, Field]]:
    for name, field in fields.items():
        if field.kind.fields is None:
            yield prefix + name, field
        else:
            yield from _described(f"{prefix}{name}.", field.kind.fields)


def nearest_variable(name: str, bound: Collection[str]) -> str:
    """A hint for a name that is neither a variable nor bound by a macro."""
    if near := did_you_mean(name, [*SCHEMA, *bound, "true", "false", "null"]):
        return near
    field = next((path for path, _ in describe() if path.endswith(f".{name}")), "")
    return f"did you mean `{field}`?" if field else f"use one of {', '.join(SCHEMA)}; write a text 'in quotes'"
