"""The OpenAPI document of an application, without what a policy requires."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Contact, License, Server, Tag
from litestar.routes import HTTPRoute

from app import __version__
from app.http.api.openapi.example_bodies import example_bodies, example_response
from app.http.api.openapi.examples import ExampleComposer
from app.http.api.openapi.names import operation_namer
from app.http.api.openapi.requirements import METHODS
from app.http.api.openapi.responses import completed_responses
from app.http.api.openapi.shared_responses import SCHEMAS, components
from app.http.api.openapi.tidy import tidied, tidied_parameter, tidied_response
from app.http.api.openapi.type_docs import type_docs

Assemble = Callable[[OpenAPIConfig], Litestar]
_DESCRIPTION = """\
Send one header, `Authorization: Bearer <token>`: the token of a signed-in user, an API key, or the access token of a
third-party app. A 401 says “fix your token”, a 403 says “ask for more scope”. An error is JSON with the key `detail`.
Each path works with and without a slash at its end, each GET as a HEAD too, and OPTIONS lists the methods of a path."""
# Handlers of a team may answer GET alone.
WITHOUT_HEAD = "x-without-head"
_GET, _SOME_GET = "each GET", f"each GET without `{WITHOUT_HEAD}`"


@dataclass(frozen=True, slots=True)
class ApiInfo:
    """What a deployment says of its API; `tags` are the descriptions of groups of operations.

    Of these the page has `last` behind all others.
    """

    title: str
    summary: str
    tags: Mapping[str, str]
    public_url: str | None
    last: Collection[str] = ()


def base_document(assemble: Assemble, info: ApiInfo) -> dict[str, Any]:
    """The document of an application."""
    app = assemble(_config(info))
    handlers = _handlers(app)
    document: dict[str, Any] = tidied(app.openapi_schema.to_schema())
    docs = type_docs(handler for by_method in handlers.values() for handler in by_method.values())
    schemas = {name: _described(name, schema, docs) for name, schema in document["components"]["schemas"].items()}
    schemas |= SCHEMAS  # a handler of a team may have a type of the same name, and then Litestar renames both
    composer = ExampleComposer(schemas)
    document["paths"] = {
        path: _path_item(item, handlers.get(path, {}), composer) for path, item in sorted(document["paths"].items())
    }
    _complete_tags(document, info.title)
    if any(WITHOUT_HEAD in item.get("get", {}) for item in document["paths"].values()):
        document["info"]["description"] = document["info"]["description"].replace(_GET, _SOME_GET)
    document["components"] = {"schemas": schemas, **components()}
    return document


def _complete_tags(document: dict[str, Any], title: str) -> None:
    """Declare the tags of a team's handlers. Those that name none are tagged with the title of the API."""
    tags = {tag["name"]: tag for tag in document.get("tags", ())}
    for item in document["paths"].values():
        for operation in (each for method, each in item.items() if method in METHODS):
            operation["tags"] = operation.get("tags") or [title]
            for name in operation["tags"]:
                tags.setdefault(name, {"name": name, "description": "Operations of this deployment."})
    document["tags"] = [tags[name] for name in sorted(tags)]


def _config(info: ApiInfo) -> OpenAPIConfig:
    return OpenAPIConfig(
        title=info.title,
        version=__version__,
        summary=info.summary,
        description=f"{info.summary}\n\n{_DESCRIPTION}",
        contact=Contact(name="The operator of this deployment"),
        license=License(name="Apache License 2.0", identifier="Apache-2.0"),
        servers=[Server(url=info.public_url or "/", description="This deployment.")],
        tags=[Tag(name=name, description=text) for name, text in sorted(info.tags.items())],
        use_handler_docstrings=True,
        operation_id_creator=operation_namer(),
    )


def _handlers(app: Litestar) -> dict[str, dict[str, HTTPRouteHandler]]:
    """The handlers of each path, by method."""
    found: dict[str, dict[str, HTTPRouteHandler]] = {}
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                # Litestar would generate examples at random, in half of the time that it takes to create the document.
                specs = (handler.responses or {}).items()
                handler.responses = {status: replace(spec, generate_examples=False) for status, spec in specs}
                found.setdefault(route.path_format, {})[method.lower()] = handler
    return found


def _described(name: str, schema: dict[str, Any], docs: Mapping[str, str]) -> dict[str, Any]:
    return {"description": docs[name], **schema} if name in docs else schema


def _path_item(
    item: Mapping[str, Any], handlers: Mapping[str, HTTPRouteHandler], composer: ExampleComposer
) -> dict[str, Any]:
    """A path without the HEAD of each GET, and with complete operations. A GET without HEAD says so."""
    path = {
        key: _operation(value, handlers[key], composer) if key in METHODS else value
        for key, value in item.items()
        if not (key == "head" and "get" in item)
    }
    if "get" in item and "head" not in item:
        path["get"][WITHOUT_HEAD] = True
    return path


def _operation(operation: Mapping[str, Any], handler: HTTPRouteHandler, composer: ExampleComposer) -> dict[str, Any]:
    """An operation with all its responses, and with examples."""
    documented = {
        status: tidied_response(status, each, composer.schemas) for status, each in operation["responses"].items()
    }
    responses = completed_responses({**operation, "responses": documented}, handler)
    complete = {
        **operation,
        "responses": {
            status: _with_examples(each, composer, example_response(operation["operationId"], status))
            for status, each in responses.items()
        },
    }
    if not handler.summary:  # Litestar makes `ListOrders` of `list_orders`
        complete["summary"] = handler.handler_name.replace("_", " ").strip().capitalize()
    if "requestBody" in operation:
        own = example_bodies().get(operation["operationId"])
        complete["requestBody"] = _with_examples(operation["requestBody"], composer, own)
    if "parameters" in operation:
        complete["parameters"] = [
            {**each, "example": composer.compose(each["schema"], each["name"])}
            for each in map(tidied_parameter, operation["parameters"])
        ]
    return complete


def _with_examples(
    part: Mapping[str, Any], composer: ExampleComposer, own: Mapping[str, Any] | str | None = None
) -> dict[str, Any]:
    """A body or a response, with an example for each media type that has none. Plain text has the lines of JSON."""
    if "content" not in part:
        return dict(part)
    content: dict[str, Any] = {}
    for kind, media in part["content"].items():
        example = own or composer.compose(media["schema"])
        if media.get("schema") == {"type": "string"} and not own and content:
            example = json.dumps(next(iter(content.values()))["example"]) + "\n"
        content[kind] = media if "examples" in media else {**media, "example": example}
    return {**part, "content": content}
