"""Writes the models of the SDKs from the OpenAPI document: a type for each schema that they use.

    .venv/bin/python -m scripts.sdk.write_models

A test compares them with the document. openapi-typescript writes those for TypeScript. No generator that is kept up
writes typed dictionaries of Python alone: all that write models need another package at run time.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.support.issuer import LiveIssuer
from tests.support.node_packages import NODE, node_packages
from tests.support.server import Server

PACKAGE = Path(__file__).parent / "python" / "griddy"
TYPESCRIPT = Path(__file__).parent / "typescript"
TYPES = TYPESCRIPT / "src" / "models.ts"
# A type for each schema by its name; what has a default need not be sent.
_OPTIONS = ("--root-types", "--root-types-no-schema-prefix", "--default-non-nullable=false")
# The modules of the models, and the paths whose operations have them in their bodies.
MODULES = {
    "_catalog": re.compile(r"/api/v1/(leagues|seasons|franchises|teams|venues|games)\b"),
    "_holdings": re.compile(r"/api/v1/(sources|acquisitions|video-assets|tags)\b"),
    "_keys": re.compile(r"/api/v1/api-keys\b"),
}
# Pages are read by iterators, and errors are exceptions.
_OMITTED = re.compile(r"(.*Page|Detail|InvalidBody|FieldError)")
_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None", "object": "dict"}
_WIDTH = 120


def models(document: Mapping[str, Any]) -> dict[str, str]:
    """The formatted text of each module with models, by its name."""
    return {name: _formatted(text) for name, text in _modules(document).items()}


def types(document: Mapping[str, Any]) -> str:
    """The text of the module with the types for TypeScript."""
    schemas = document["components"]["schemas"]
    used = {name: dict(schemas[name]) for names in _names(document).values() for name in names}
    for schema in used.values():
        schema.pop("examples", None)
    reduced = {
        "openapi": document["openapi"],
        "info": {"title": "Models of the API", "version": "1"},
        "paths": {},
        "components": {"schemas": dict(sorted(used.items()))},
    }
    program = node_packages(TYPESCRIPT) / "node_modules" / ".bin" / "openapi-typescript"
    with tempfile.TemporaryDirectory() as temporary:
        (Path(temporary) / "openapi.json").write_text(json.dumps(reduced))
        command = [str(NODE), str(program), "openapi.json", *_OPTIONS, "--output", "models.ts"]
        subprocess.run(command, cwd=temporary, check=True, capture_output=True)
        return (Path(temporary) / "models.ts").read_text()


def _formatted(text: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--quiet", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def _modules(document: Mapping[str, Any]) -> dict[str, str]:
    schemas = document["components"]["schemas"]
    found = {
        module: _module([_class(name, schemas[name]) for name in names]) for module, names in _names(document).items()
    }
    found["models"] = _exports({module: re.findall(r"^class (\w+)", text, re.M) for module, text in found.items()})
    return found


def _names(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names of the schemas that the SDKs use, each with the first of the modules for which it is used."""
    schemas: dict[str, Any] = document["components"]["schemas"]
    written: set[str] = set()
    found: dict[str, list[str]] = {}
    for module, paths in MODULES.items():
        names = set[str]()
        for path, item in document["paths"].items():
            if paths.match(path):
                names |= _reachable([_bodies(item)], schemas)
        names = {name for name in names if not _OMITTED.fullmatch(name)} - written
        written |= names
        found[module] = sorted(names)
    return found


def _bodies(item: Mapping[str, Any]) -> list[Any]:
    return [[operation.get("requestBody"), operation["responses"]] for operation in item.values()]


def _reachable(parts: list[Any], schemas: Mapping[str, Any]) -> set[str]:
    """The names of all schemas to which parts of the document refer, also through others."""
    names: set[str] = set()
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            name = str(part.get("$ref", "")).rpartition("/schemas/")[2]
            if name in schemas and name not in names:
                names.add(name)
                parts.append(schemas[name])
            parts.extend(part.values())
        elif isinstance(part, list):
            parts.extend(part)
    return names


def _class(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    text = schema.get("description", "An object of the API.")
    lines = [f"class {name}(TypedDict):", *_docstring(text), ""]
    for field, value in schema["properties"].items():
        kind = _type(value)
        lines.append(f"    {field}: {kind if field in required else f'NotRequired[{kind}]'}")
    return "\n".join(lines)


def _docstring(text: str) -> Iterator[str]:
    first = " ".join(text.split("\n\n", maxsplit=1)[0].split())
    lines = textwrap.wrap(first, _WIDTH - 10)
    yield f'    """{lines[0]}' + ('"""' if len(lines) == 1 else "")
    yield from (f"    {line}" for line in lines[1:])
    if len(lines) > 1:
        yield '    """'


def _type(schema: Mapping[str, Any]) -> str:
    if reference := schema.get("$ref"):
        return str(reference.rpartition("/")[2])
    if choices := schema.get("oneOf") or schema.get("anyOf"):
        return " | ".join(dict.fromkeys(map(_type, choices)))
    if "const" in schema or "enum" in schema:
        values = ", ".join(f'"{value}"' for value in schema.get("enum", [schema.get("const")]))
        return f"Literal[{values}]"
    if schema["type"] == "array":
        return f"list[{_type(schema['items'])}]"
    return _TYPES[schema["type"]]


def _module(classes: list[str]) -> str:
    text = "\n\n\n".join(classes)
    typing = [name for name in ("Literal", "NotRequired", "TypedDict") if re.search(rf"\b{name}\b", text)]
    head = '"""Models of the API, written by `scripts/sdk/write_models.py`. Times are ISO 8601 in UTC."""\n\n'
    return f"{head}from __future__ import annotations\n\nfrom typing import {', '.join(typing)}\n\n\n{text}\n"


def _exports(classes: Mapping[str, list[str]]) -> str:
    names = sorted(name for found in classes.values() for name in found)
    lines = ['"""The bodies and responses of the API."""', "", "from __future__ import annotations", ""]
    for module, found in sorted(classes.items()):
        lines += [f"from .{module} import (", *(f"    {name}," for name in sorted(found, key=str.lower)), ")"]
    return "\n".join([*lines, "", "__all__ = [", *(f'    "{name}",' for name in names), "]", ""])


def main() -> None:
    """Write the models of the document of a server with the shipped policy."""
    with (
        tempfile.TemporaryDirectory() as temporary,
        LiveIssuer() as issuer,
        Server(Path(temporary), jwks_url=issuer.jwks_url, issuer=issuer.url) as server,
    ):
        document = httpx.get(f"{server.url}/openapi.json", timeout=60).json()
    for module, text in models(document).items():
        (PACKAGE / f"{module}.py").write_text(text)
    TYPES.write_text(types(document))


if __name__ == "__main__":
    main()
