"""Responses that the server, the door or the framework may send for any operation, as components of the document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from app.db.availability import UNAVAILABLE
from app.http.door.budgets import TOO_MANY
from app.http.door.refusal import FORBIDDEN
from app.http.wire.errors import INTERNAL
from app.http.wire.json_body import NOT_JSON
from app.http.wire.problems import INVALID_BODY
from app.identity.errors import AuthenticationFault

JSON = "application/json"
REQUEST_ID = "X-Request-ID"
DETAIL, INVALID_REQUEST = "#/components/schemas/Detail", "#/components/schemas/InvalidBody"
_LATE = "The request did not arrive in time."

HEADERS: Mapping[str, Mapping[str, Any]] = {
    REQUEST_ID: {
        "description": "The id of the request in the logs: that of the client if it sent one, else a new one.",
        "schema": {"type": "string", "maxLength": 128},
        "example": "0643f6a1b2c3d4e5f6a7b8c9",
    },
    "WWW-Authenticate": {
        "description": "The challenge (RFC 6750): what is wrong with the credentials, or in `scope` what is missing.",
        "schema": {"type": "string"},
        "example": 'Bearer error="invalid_token", error_description="Token has expired."',
    },
    "Retry-After": {
        "description": "The seconds to wait before the next attempt.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 5,
    },
    "Cache-Control": {
        "description": "Whether and how the response may be stored.",
        "schema": {"type": "string"},
        "example": "no-store",
    },
}


def _object(name: str, description: str, required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {
        "title": name,
        "type": "object",
        "description": description,
        "required": list(required),
        "properties": properties,
    }


_TEXT = {"type": "string"}
# The schemas to which these responses refer.
SCHEMAS: Mapping[str, dict[str, Any]] = {
    "Detail": {
        # It has this single key, by contract.
        **_object("Detail", "Why the request was not served.", ("detail",), detail=_TEXT),
        "additionalProperties": False,
    },
    "InvalidBody": _object(
        "InvalidBody",
        "Why the request was refused; `errors` are the invalid fields of its body, or its invalid filters.",
        ("detail",),
        detail=_TEXT,
        errors={"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
    ),
    "FieldError": _object(
        "FieldError",
        "What is wrong with one field; `field` is empty for the body as a whole.",
        ("field", "message"),
        field=_TEXT,
        message=_TEXT,
    ),
    "TokenError": _object(
        "TokenError",
        "Why an app gets no answer (RFC 6749 section 5.2).",
        ("error", "error_description"),
        error=_TEXT,
        error_description=_TEXT,
    ),
}


@dataclass(frozen=True, slots=True)
class SharedResponse:
    """A response component: its name, its meaning, its further headers, its schema, and bodies by name."""

    name: str
    description: str
    headers: tuple[str, ...]
    schema: str
    bodies: Mapping[str, Mapping[str, Any]]

    @property
    def examples(self) -> dict[str, Any]:
        """The bodies as examples of a media type."""
        return {name: {"value": dict(body)} for name, body in self.bodies.items()}

    @property
    def component(self) -> dict[str, Any]:
        """The response object."""
        return {
            "description": self.description,
            "headers": header_references(REQUEST_ID, *self.headers),
            "content": {JSON: {"schema": {"$ref": self.schema}, "examples": self.examples}},
        }


def header_references(*names: str) -> dict[str, Any]:
    """References to header components."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _response(name: str, description: str, *headers: str, **details: str) -> SharedResponse:
    return SharedResponse(
        name, description, headers, DETAIL, {key: {"detail": detail} for key, detail in details.items()}
    )


SHARED: Mapping[str, SharedResponse] = {
    "400": SharedResponse(
        "BadRequest",
        "The path, the query or the body is invalid.",
        (),
        INVALID_REQUEST,
        {
            "body": {"detail": INVALID_BODY, "errors": [{"field": "name", "message": "must be a string"}]},
            "path": {"detail": "The path has an ambiguous spelling."},
        },
    ),
    "401": _response(
        "Unauthenticated",
        "The credentials are missing or invalid: send another token. An operation that is open to everyone refuses "
        "invalid credentials too.",
        "WWW-Authenticate",
        "Cache-Control",
        **{fault.name.lower(): fault.value for fault in AuthenticationFault},
    ),
    "403": _response(
        "Forbidden",
        "The caller is known and not permitted: ask for the permissions in `scope` of the challenge, if it has any.",
        "WWW-Authenticate",
        "Cache-Control",
        missing_permissions=FORBIDDEN,
    ),
    "408": _response("RequestTimeout", "The request did not arrive in time.", late=_LATE),
    "413": _response("ContentTooLarge", "The body is too large.", large="Request entity too large."),
    "414": _response(
        "UriTooLong",
        "The path and the query are too long.",
        too_long=f"{HTTPStatus.REQUEST_URI_TOO_LONG.phrase}.",
    ),
    "415": _response("UnsupportedMediaType", "The body is not plain JSON in UTF-8.", not_json=NOT_JSON),
    "429": _response("TooManyRequests", "A budget is spent.", "Retry-After", budget_spent=TOO_MANY),
    "431": _response(
        "HeaderFieldsTooLarge",
        "The header fields are too large.",
        too_large=f"{HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE.phrase}.",
    ),
    "500": _response("InternalError", "A defect, which was logged with the id of the request.", defect=INTERNAL),
    "503": _response(
        "Unavailable",
        "Credentials cannot be verified, the policy is suspended, or the database does not answer or has no space.",
        "Retry-After",
        signing_keys="Signing keys are unavailable.",
        database=UNAVAILABLE,
    ),
}


def components() -> dict[str, Any]:
    """The headers and responses of all operations."""
    return {
        "headers": {name: dict(header) for name, header in HEADERS.items()},
        "responses": {shared.name: shared.component for shared in SHARED.values()},
    }
