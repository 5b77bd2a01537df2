"""The OpenAPI 3.1 document, generated from the handlers and completed with the grants that the policy requires."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from litestar import Litestar, Response
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from app import __version__
from app.http.wire.handlers import get_or_head
from app.identity.principal import ANYONE, is_fact
from app.policy.engine.snapshot import Snapshot
from app.policy.language.rule import Rule
from app.services import AnyRequest, services_of

_SCHEMES = {
    "jwt": SecurityScheme(
        type="http",
        scheme="bearer",
        bearer_format="JWT",
        description="The token of a signed-in user (RS256).",
    ),
    "api_key": SecurityScheme(
        type="http",
        scheme="bearer",
        bearer_format="grd_live_<48 hex> or grd_test_<48 hex>",
        description="An API key, in the same header as a token.",
    ),
}
_METHODS = ("get", "head", "post", "put", "patch", "delete", "options")


def document(assemble: Callable[[OpenAPIConfig], Litestar]) -> dict[str, Any]:
    """The OpenAPI document of an application, without the requirements of the policy."""
    config = OpenAPIConfig(
        title="Griddy API",
        version=__version__,
        description="Football data: a catalog of leagues, teams and games, and holdings, which are what you own.",
        components=Components(security_schemes=dict(_SCHEMES)),
        use_handler_docstrings=True,
    )
    return assemble(config).openapi_schema.to_schema()


def with_requirements(document: dict[str, Any], snapshot: Snapshot) -> dict[str, Any]:
    """The document with the alternative grants of each operation under a policy."""
    paths = {
        path: {
            key: _with_requirement(value, snapshot.rules_for(path, key.upper())) if key in _METHODS else value
            for key, value in item.items()
        }
        for path, item in document["paths"].items()
    }
    return {**document, "paths": paths, "x-policy-revision": snapshot.revision}


def _with_requirement(operation: dict[str, Any], rules: tuple[Rule, ...]) -> dict[str, Any]:
    alternatives = [sorted(rule.needs) for rule in rules if rule.effect == "allow"]
    security: list[dict[str, list[str]]] = []
    for needs in alternatives:
        if needs == [ANYONE]:
            security.append({})
            continue
        permissions = [grant for grant in needs if not is_fact(grant)]
        methods = [name for name in _SCHEMES if f"auth:{name}" in needs] or list(_SCHEMES)
        security += [{name: permissions} for name in methods]
    text = " or ".join(" and ".join(f"`{grant}`" for grant in needs) for needs in alternatives) or "no caller may"
    description = f"{operation.get('description', '')}\n\nNeeds {text}.".strip()
    return {**operation, "description": description, "security": security, "x-needs": alternatives}


class OpenApiDocument:
    """The document of a process, created on first use and updated for each policy."""

    def __init__(self, assemble: Callable[[OpenAPIConfig], Litestar]) -> None:
        self._assemble = assemble
        self._base: dict[str, Any] | None = None
        self._cached: tuple[str, dict[str, Any]] | None = None

    async def under(self, snapshot: Snapshot) -> dict[str, Any]:
        """The document under a policy."""
        if self._base is None:
            # In a thread, because it takes hundreds of milliseconds.
            self._base = await asyncio.to_thread(document, self._assemble)
        if self._cached is None or self._cached[0] != snapshot.revision:
            self._cached = (snapshot.revision, with_requirements(self._base, snapshot))
        return self._cached[1]


@get_or_head("/openapi.json", include_in_schema=False)
async def openapi_json(request: AnyRequest) -> Response[dict[str, Any]]:
    """The OpenAPI document."""
    services = services_of(request.app)
    return Response(await services.documents.under(services.live.active), headers={"Cache-Control": "no-cache"})
