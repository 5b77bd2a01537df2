"""Corrections of what Litestar writes into the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from app.http.wire.json_lines import JSON_LINES, NDJSON, PLAIN

_FLAGS = frozenset({"allowEmptyValue", "allowReserved", "deprecated"})  # false by default
_LINES = frozenset({JSON_LINES, NDJSON})


def tidied(part: Any) -> Any:
    """A part of the document, with choices among schemas that differ.

    A choice of one schema is this schema. An empty schema is that of a `Response`, which `responses` documents.
    """
    if isinstance(part, list):
        return [tidied(each) for each in part]
    if not isinstance(part, dict):
        return part
    found = {key: tidied(value) for key, value in part.items() if not (key in _FLAGS and value is False)}
    if isinstance(choices := found.get("oneOf"), list):
        distinct = [choice for at, choice in enumerate(choices) if choice and choice not in choices[:at]]
        if len(distinct) == 1:
            del found["oneOf"]
            return {**distinct[0], **found}
        found["oneOf"] = distinct
    return found


def tidied_parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter, which is never null: one that may be omitted is not required."""
    schema = dict(parameter["schema"])
    choices = [choice for choice in schema.pop("oneOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        schema = {**choices[0], **schema}
    elif choices:
        schema["oneOf"] = choices
    if isinstance(kinds := schema.get("type"), list):
        schema["type"] = next(kind for kind in kinds if kind != "null")
    if "enum" in schema:
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    return {**parameter, "schema": schema}


def tidied_response(status: str, response: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """A response that a handler documents: lines of JSON as plain text too, and a description of what it contains."""
    content = {kind: _tidied_media(media) for kind, media in response.get("content", {}).items()}
    if _LINES & content.keys():
        content[PLAIN] = {"schema": {"type": "string"}}
    found = {**response, "content": content} if content else dict(response)
    if response.get("description") == HTTPStatus(int(status)).description:
        found["description"] = _description(content, schemas)
    return found


def _tidied_media(media: Mapping[str, Any]) -> dict[str, Any]:
    """A media type whose examples have no ids: Litestar writes them, and OpenAPI does not know them."""
    if "examples" not in media:
        return dict(media)
    return {**media, "examples": {name: {"value": each["value"]} for name, each in media["examples"].items()}}


def _description(content: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """The first sentence about the schema of a response."""
    schema: Mapping[str, Any] = next((media.get("schema", {}) for media in content.values()), {})
    reference = schema.get("$ref") or schema.get("items", {}).get("$ref")
    if reference is None:
        return "The result." if content else "It is done; there is no body."
    described = schemas[reference.rsplit("/", 1)[-1]].get("description", "The result.")
    sentence = described.split("\n")[0].split(". ")[0].removesuffix(".")
    return f"A list. Each item: {sentence}." if "items" in schema else f"{sentence}."
