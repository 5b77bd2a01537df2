"""Completion of the responses of an operation.

A handler documents what it sends itself. Its responses get their common headers here, and the operation gets the
responses that are sent before its handler is called, or instead of the response of its handler.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from litestar.handlers import HTTPRouteHandler

from app.http.api.openapi.shared_responses import (
    DETAIL,
    INVALID_REQUEST,
    JSON,
    REQUEST_ID,
    SHARED,
    SharedResponse,
    header_references,
)
from app.http.wire.json_body import json_or_nothing, json_where_room, only_json
from app.oauth.errors import OAuthError

_TOKEN_ERROR = {"$ref": "#/components/schemas/TokenError"}
_ONLY_JSON = (only_json, json_where_room, json_or_nothing)
_ALWAYS = ("400", "401", "408", "414", "429", "431", "500", "503")
# These statuses the endpoints for apps send in the shape of RFC 6749, too.
_OF_OAUTH = frozenset({"400", "413", "429", "500", "503"})


def completed_responses(operation: Mapping[str, Any], handler: HTTPRouteHandler) -> dict[str, Any]:
    """The responses of an operation by status, without the 403 of the door, which depends on the policy."""
    found = {
        status: _with_request_id(response)
        for status, response in operation["responses"].items()
        if not _is_of_litestar(status, handler)
    }
    is_oauth = OAuthError in handler.resolve_exception_handlers()
    for status in _shared_statuses(operation, handler):
        found[status] = with_shared(status, found.get(status), is_oauth=is_oauth)
    return dict(sorted(found.items()))


def with_shared(status: str, declared: Mapping[str, Any] | None, *, is_oauth: bool = False) -> dict[str, Any]:
    """The shared response of a status, combined with what the handler documents for it, if anything."""
    shared = SHARED[status]
    is_oauth = is_oauth and status in _OF_OAUTH
    if declared is None and not is_oauth:
        return {"$ref": f"#/components/responses/{shared.name}"}
    given = declared or shared.component
    media = given.get("content", {}).get(JSON, {})
    schemas = _distinct(media.get("schema"), _TOKEN_ERROR if is_oauth else None, shared)
    examples = {**media.get("examples", {}), **shared.examples}
    return {
        "description": given["description"],
        "headers": {**header_references(REQUEST_ID, *shared.headers), **given.get("headers", {})},
        "content": {JSON: {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}, "examples": examples}},
    }


def _distinct(declared: Mapping[str, Any] | None, oauth: Mapping[str, Any] | None, shared: SharedResponse) -> list[Any]:
    found: list[Any] = []
    for schema in (declared, oauth, {"$ref": shared.schema}):
        # The schema of the shared 400 is that of a `Detail`, too.
        is_contained = schema == {"$ref": DETAIL} and shared.schema == INVALID_REQUEST
        if schema is not None and schema not in found and not is_contained:
            found.append(schema)
    return found


def _with_request_id(response: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: {"schema": {"type": "string"}, **header} for name, header in response.get("headers", {}).items()}
    return {**response, "headers": {**header_references(REQUEST_ID), **own}}


def _shared_statuses(operation: Mapping[str, Any], handler: HTTPRouteHandler) -> Iterator[str]:
    yield from _ALWAYS
    if "requestBody" in operation:
        yield "413"
    if handler.before_request in _ONLY_JSON:
        yield "415"


def _is_of_litestar(status: str, handler: HTTPRouteHandler) -> bool:
    """Whether Litestar added the 400 of its own exception, whose body is never sent."""
    return status == "400" and 400 not in (handler.responses or {})
