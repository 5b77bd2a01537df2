"""Protected-resource metadata (RFC 9728), from which a client learns how to get a token."""

from __future__ import annotations

from dataclasses import dataclass

from litestar import Response
from litestar.openapi.datastructures import ResponseSpec

from app.http.wire.handlers import get_or_head
from app.http.wire.problems import Detail, Problem
from app.services import AnyRequest, services_of

PATH = "/.well-known/oauth-protected-resource"
NO_PUBLIC_URL = "This deployment has not stated its public address: set AUTHZ_PUBLIC_URL."


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """The metadata of this resource (RFC 9728 section 2)."""

    resource: str
    authorization_servers: list[str]
    scopes_supported: list[str]
    bearer_methods_supported: list[str]
    resource_name: str
    resource_documentation: str


@get_or_head(
    PATH,
    summary="Describe this resource to OAuth clients",
    tags=["tokens"],
    responses={404: ResponseSpec(Detail, description="The deployment has not stated its public address")},
)
async def protected_resource(request: AnyRequest) -> Response[ProtectedResource]:
    """The issuers whose tokens are accepted, and all permissions. The address is never read from a Host header."""
    services = services_of(request.app)
    base = services.settings.public_url
    if base is None:
        raise Problem(404, NO_PUBLIC_URL)
    catalog = services.live.active.policy.catalog
    content = ProtectedResource(
        resource=base,
        authorization_servers=[each.issuer.issuer for each in services.issuers.verifiers],
        scopes_supported=sorted(name for name, permission in catalog.items() if not permission.deprecated),
        bearer_methods_supported=["header"],
        resource_name="Griddy API",
        resource_documentation=f"{base}/docs",
    )
    return Response(content, headers={"Cache-Control": "no-cache"})
