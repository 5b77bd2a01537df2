"""The documentation page, rendered from the OpenAPI document. It loads nothing from other hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response

from app.http.wire.handlers import get_or_head
from app.services import AnyRequest, services_of

_HERE = Path(__file__).parent / "pages"
_METHODS = ("get", "head", "post", "put", "patch", "delete")
_pages = Environment(
    loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_style = (_HERE / "style.css").read_bytes()
_SOURCES = ("default-src 'none'", "style-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'")
_HEADERS = {
    "Content-Security-Policy": "; ".join(_SOURCES),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@get_or_head("/docs", media_type="text/html", include_in_schema=False)
async def docs(request: AnyRequest) -> Response[str]:
    """All operations with their permissions, bodies and responses."""
    services = services_of(request.app)
    document = await services.documents.under(services.live.active)
    page = _pages.get_template("docs.html").render(document=document, groups=_groups(document))
    return Response(page, media_type="text/html; charset=utf-8", headers=_HEADERS)


@get_or_head("/docs/style.css", media_type="text/css", include_in_schema=False)
async def docs_style() -> Response[bytes]:
    """The style sheet of the page."""
    return Response(_style, media_type="text/css; charset=utf-8", headers={**_HEADERS, "Cache-Control": "max-age=300"})


def _groups(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The operations by tag, in the order of their paths; a HEAD is listed with its GET."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, item in sorted(document["paths"].items()):
        for method in _METHODS:
            operation = item.get(method)
            if operation is None or (method == "head" and "get" in item):
                continue
            methods = "GET, HEAD" if method == "get" and "head" in item else method.upper()
            tag = (operation.get("tags") or ["other"])[0]
            entry = {"method": methods, "path": path, "body": _body(document, operation), **operation}
            groups.setdefault(tag, []).append(entry)
    return groups


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
