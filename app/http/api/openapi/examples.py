"""Examples of bodies and parameters, composed from the schemas.

A schema that has an example of its own contributes it; any other value is that of the field's name, or of its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.http.api.openapi.example_values import CALLBACK, EMPTY, EXPIRY, MOMENT, NULLS, OWN, VALUES, token_values

_MAX_DEPTH = 6  # of nested schemas; deeper lists are empty
# Of a mapping, by the name of the field.
_KEYS: Mapping[str, str] = {"files": "decision_log.csv"}
# Some of them only handlers of a team have.
_FORMATS: Mapping[str, object] = {
    "date-time": MOMENT,
    "date": "2026-11-29",
    "uri": CALLBACK,
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
        self._values = {**VALUES, **token_values()}

    def compose(self, schema: Mapping[str, Any], name: str = "", depth: int = 0, owner: str = "") -> Any:
        """An example of a schema; `name` is that of the field, `owner` that of the schema that has it."""
        if reference := schema.get("$ref"):
            referred = reference.rsplit("/", 1)[-1]
            return self.compose(self.schemas[referred], name, depth + 1, referred)
        for own in ("example", "const"):
            if own in schema:
                return schema[own]
        for own in ("examples", "enum"):
            if schema.get(own):
                return schema[own][0]
        if choices := schema.get("oneOf") or schema.get("anyOf"):
            if name in NULLS and {"type": "null"} in choices:
                return None
            chosen = next((choice for choice in choices if choice.get("type") != "null"), choices[0])
            return self.compose(chosen, name, depth, owner)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((each for each in kind if each != "null"), "null")
        if kind == "object":
            return self._object(schema, name, depth, owner)
        if kind == "array":
            is_empty = name in EMPTY or "items" not in schema or depth >= _MAX_DEPTH
            return [] if is_empty else [self.compose(schema["items"], name, depth + 1, owner)]
        return self._scalar(kind, schema, name)

    def _object(self, schema: Mapping[str, Any], name: str, depth: int, owner: str) -> dict[str, Any]:
        fields = schema.get("properties", {}).items()
        if not fields and isinstance(values := schema.get("additionalProperties"), dict):
            return {_KEYS.get(name, "name"): self.compose(values, name, depth + 1, owner)}
        return {field: self._field(owner, field, value, depth + 1) for field, value in fields}

    def _field(self, owner: str, name: str, schema: Mapping[str, Any], depth: int) -> Any:
        own = f"{owner}.{name}"
        return OWN[own] if own in OWN else self.compose(schema, name, depth, owner)

    def _scalar(self, kind: str, schema: Mapping[str, Any], name: str) -> object:
        if schema.get("format") in _FORMATS:
            return EXPIRY if name == "expires_at" else _FORMATS[schema["format"]]
        if name in self._values and isinstance(self._values[name], _PYTHON[kind]):
            return self._values[name]
        if kind in ("integer", "number"):
            return schema.get("minimum", _TYPES[kind])
        return _TYPES[kind]
