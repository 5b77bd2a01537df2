"""The private names of Litestar that this program uses still have the same meaning."""

from __future__ import annotations

import sys
from typing import Annotated, Any

from litestar import Litestar, Request, Response, get, post, route
from litestar.enums import RequestEncodingType
from litestar.openapi.spec import OpenAPIType, Schema
from litestar.params import Body, FromQuery
from litestar.plugins import OpenAPISchemaPlugin
from litestar.testing import create_test_client
from litestar.types import ASGIApp, Receive, Scope, Send
from litestar.typing import FieldDefinition

from app.http.wire.litestar_private import (
    SchemaCreator,
    is_options_of_litestar,
    registered_schema,
    without_exception_layer,
    without_outer_layers,
)


def test_the_private_middleware_around_a_handler_can_be_replaced() -> None:
    layers: list[tuple[ASGIApp, ASGIApp]] = []

    def middleware(app: ASGIApp) -> ASGIApp:
        inner = without_exception_layer(app)
        layers.append((app, inner))

        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            await inner(scope, receive, send)

        return call

    class RefusedError(Exception):
        pass

    @get("/", sync_to_thread=False)
    def handler() -> None:
        raise RefusedError

    def answer(_request: object, _error: Exception) -> Response[str]:
        return Response("refused", status_code=418)

    with create_test_client([handler], middleware=[middleware], exception_handlers={RefusedError: answer}) as client:
        assert client.get("/").status_code == 418
    assert layers
    for app, inner in layers:
        assert inner is not app
        assert without_exception_layer(inner) is inner


def test_no_query_cookie_or_form_is_kept() -> None:
    @post("/", sync_to_thread=False)
    def handler(
        request: Request[Any, Any, Any],
        q: FromQuery[str],
        data: Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)],
    ) -> list[str]:
        return [q, request.query_params["q"], request.url.query_params["q"], request.cookies["c"], data["f"]]

    without_outer_layers(Litestar())
    before = _cached_calls()
    with create_test_client([handler]) as client:
        for number in range(3):
            fields = [f"{name}{number}" for name in ("query", "cookie", "form")]
            answer = client.post(
                "/", params={"q": fields[0]}, headers={"Cookie": f"c={fields[1]}"}, data={"f": fields[2]}
            )
            assert answer.json() == [fields[0]] * 3 + fields[1:]
    assert before
    assert _cached_calls() == before


def _cached_calls() -> dict[str, int]:
    """The calls of the functions of Litestar that cache what they parse."""
    return {
        f"{module.__name__}.{name}": value.cache_info().hits + value.cache_info().misses
        for module in list(sys.modules.values())
        if module.__name__.startswith("litestar.")
        for name, value in vars(module).items()
        if name.startswith(("parse_", "create_query")) and hasattr(value, "cache_info")
    }


def test_a_registered_schema_is_that_of_the_document() -> None:
    class Thing:
        pass

    class Plugin(OpenAPISchemaPlugin):
        @staticmethod
        def is_plugin_supported_type(value: Any) -> bool:
            return value is Thing

        def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: SchemaCreator) -> Schema:
            schema = registered_schema(schema_creator, field_definition)
            schema.type, schema.description = OpenAPIType.OBJECT, "filled in"
            return schema

    @get("/", sync_to_thread=False, signature_namespace={"Thing": Thing})
    def handler() -> Thing:
        return Thing()

    document = Litestar([handler], plugins=[Plugin()]).openapi_schema.to_schema()
    (schema,) = document["components"]["schemas"].values()
    assert schema["description"] == "filled in"


def test_handlers_of_options_are_told_apart() -> None:
    @get("/", sync_to_thread=False)
    def handler() -> None: ...

    @route("/own", http_method=["GET", "OPTIONS"], sync_to_thread=False)
    def own() -> None: ...

    found = {each.path: each.route_handler_map["OPTIONS"][0] for each in Litestar([handler, own]).routes}  # type: ignore[union-attr]  # both are HTTP
    assert {path: is_options_of_litestar(each) for path, each in found.items() if path in ("/", "/own")} == {
        "/": True,
        "/own": False,
    }
