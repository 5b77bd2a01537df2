"""Examples of bodies and parameters, composed from the schemas.

A schema that has an example of its own contributes it; any other value is that of the field's name, or of its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.identity.token_format import DIGITS, PUBLIC_DIGITS, current
from app.policy.language.reason import Reason

_MAX_DEPTH = 6  # of nested schemas; deeper lists are empty
_MOMENT = "2026-11-29T10:00:00Z"
_EXPIRY = "2027-11-29T10:00:00Z"
_REVISION = "9f86d081884c7d65"
# By the name of the field, if a value of the schema's type stands here.
_VALUES: Mapping[str, object] = {
    "action": "GET",
    "actor": "user_2abc",
    "client_id": "app_0123456789abcdef",
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
    "cursor": "YjQyOi9hcGkvdjEvYXBpLWtleXM",
    "detail": "The request cannot be served.",
    "door": "app",
    "environment": "live",
    "files": "p, decisions:read, /api/v1/decisions/**, GET|HEAD, allow\n# end\n",
    "file": "decision_log.csv",
    "grant_type": "authorization_code",
    "grants": "decisions:read",
    "last": "7d",
    "message": "Let support read decisions",
    "name": "nightly import",
    "org_id": "org_2abc",
    "owner": "user_2abc",
    "parent": _REVISION,
    "reason": Reason.ALLOWED.value,
    "redirect_uri": "https://app.example/callback",
    "redirect_uris": "https://app.example/callback",
    "request_id": "0643f6a1b2c3d4e5f6a7b8c9",
    "resource": "/api/v1/decisions",
    "response_type": "code",
    "response_types": "code",
    "revision": _REVISION,
    "route": "/api/v1/decisions",
    "row": "p, decisions:read, /api/v1/decisions/**, GET|HEAD, allow",
    "scope": "decisions:read",
    "scopes": "decisions:read",
    "since": "7d",
    "grant_types": "authorization_code",
    "sub": "user_2abc",
    "subject": "user_2abc",
    "token_endpoint_auth_method": "none",
    "type": "user",
    "until": _MOMENT,
    "user": "user_2abc",
}
# Fields that are null unless something is out of the ordinary.
_NULLS = frozenset({"revoked_at", "last_fault", "error", "note", "previous"})
# Of a mapping, by the name of the field.
_KEYS: Mapping[str, str] = {"files": "decision_log.csv"}
_FORMATS: Mapping[str, object] = {
    "date-time": _MOMENT,
    "date": "2026-11-29",
    "uri": "https://app.example/callback",
    "duration": "P1D",
}
_TYPES: Mapping[str, object] = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "null": None}
_PYTHON: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


class ExampleComposer:
    """Composes examples of schemas, with those to which they refer."""

    def __init__(self, schemas: Mapping[str, Mapping[str, Any]]) -> None:
        self.schemas = schemas
        self._values = {**_VALUES, **_token_values()}

    def compose(self, schema: Mapping[str, Any], name: str = "", depth: int = 0) -> Any:
        """An example of a schema; `name` is that of the field."""
        if reference := schema.get("$ref"):
            return self.compose(self.schemas[reference.rsplit("/", 1)[-1]], name, depth + 1)
        for own in ("example", "const"):
            if own in schema:
                return schema[own]
        for own in ("examples", "enum"):
            if schema.get(own):
                return schema[own][0]
        if choices := schema.get("oneOf") or schema.get("anyOf"):
            if name in _NULLS and {"type": "null"} in choices:
                return None
            chosen = next((choice for choice in choices if choice.get("type") != "null"), choices[0])
            return self.compose(chosen, name, depth)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((each for each in kind if each != "null"), "null")
        if kind == "object":
            return self._object(schema, name, depth)
        if kind == "array":
            return [self.compose(schema["items"], name, depth + 1)] if "items" in schema and depth < _MAX_DEPTH else []
        return self._scalar(kind, schema, name)

    def _object(self, schema: Mapping[str, Any], name: str, depth: int) -> dict[str, Any]:
        fields = schema.get("properties", {}).items()
        if not fields and isinstance(values := schema.get("additionalProperties"), dict):
            return {_KEYS.get(name, "name"): self.compose(values, name, depth + 1)}
        return {field: self.compose(value, field, depth + 1) for field, value in fields}

    def _scalar(self, kind: str, schema: Mapping[str, Any], name: str) -> object:
        if schema.get("format") in _FORMATS:
            return _EXPIRY if name == "expires_at" else _FORMATS[schema["format"]]
        if name in self._values and isinstance(self._values[name], _PYTHON[kind]):
            return self._values[name]
        if kind in ("integer", "number"):
            return schema.get("minimum", _TYPES[kind])
        return _TYPES[kind]


def _token_values() -> dict[str, object]:
    digits, key = ("0123456789abcdef" * 3)[:DIGITS], current().key_start("live")
    return {
        "access_token": current().app_token_start("access") + digits,
        "key_prefix": key + digits[:PUBLIC_DIGITS],
        "plaintext": key + digits,
        "token": key + digits,
    }
