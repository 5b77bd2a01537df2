"""The documentation page, rendered from the OpenAPI document. It loads nothing from other hosts."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.http.api.openapi.document import WITHOUT_HEAD
from app.http.api.openapi.shared_responses import SHARED
from app.identity.token_format import current

_METHODS = ("get", "head", "post", "put", "patch", "delete")
_pages = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(document: dict[str, Any], last: Collection[str] = ()) -> bytes:
    """The page with all operations, with the tags `last` behind all others."""
    descriptions = {tag["name"]: tag["description"] for tag in document.get("tags", ()) if "description" in tag}
    return (
        _pages.get_template("docs.html")
        .render(
            document=document,
            groups=dict(sorted(_groups(document).items(), key=lambda group: group[0] in last)),
            descriptions=descriptions,
            shared=SHARED,
            key_start=current().key_start("live"),
        )
        .encode()
    )


def _groups(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The operations by tag, in the order of their paths. A GET is a HEAD too, unless it says otherwise."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, item in sorted(document["paths"].items()):
        for method in _METHODS:
            operation = item.get(method)
            if operation is None:
                continue
            methods = "GET, HEAD" if method == "get" and WITHOUT_HEAD not in operation else method.upper()
            tag = operation["tags"][0]
            entry = {"method": methods, "path": path, "body": _body(document, operation), **operation}
            entry["answers"] = _answers(operation)
            groups.setdefault(tag, []).append(entry)
    return groups


def _answers(operation: dict[str, Any]) -> dict[str, str]:
    """The statuses of an operation with their descriptions, without those that all operations share."""
    return {status: answer["description"] for status, answer in operation["responses"].items() if "$ref" not in answer}


def _body(document: dict[str, Any], operation: dict[str, Any]) -> list[dict[str, Any]]:
    """The fields of the request body."""
    content: dict[str, dict[str, Any]] = operation.get("requestBody", {}).get("content", {})
    body: dict[str, Any] = next((kind["schema"] for kind in content.values()), {})
    schema = _resolve(document, body)
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "type": _type(document, field),
            "required": name in required,
            "about": field.get("description", ""),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if reference := schema.get("$ref"):
        resolved: dict[str, Any] = document["components"]["schemas"][reference.rsplit("/", 1)[-1]]
        return resolved
    return schema


def _type(document: dict[str, Any], schema: dict[str, Any]) -> str:
    schema = _resolve(document, schema)
    if choices := schema.get("oneOf") or schema.get("anyOf"):
        return " or ".join(dict.fromkeys(_type(document, choice) for choice in choices))
    if "enum" in schema:
        return " or ".join(f'"{value}"' for value in schema["enum"])
    if "const" in schema:
        return f'"{schema["const"]}"'
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(document, schema.get('items', {}))}"
    if isinstance(kind, list):
        return " or ".join(kind)
    return f"{kind} ({schema['format']})" if "format" in schema else str(kind)
