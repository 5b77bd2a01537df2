"""Protected-resource metadata (RFC 9728), from which a client learns how to get a token."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeAlias
from urllib.parse import urlencode, urlsplit

import msgspec
from litestar import Response
from litestar.params import FromPath, QueryParameter

from app.http.wire.handlers import get_or_head
from app.http.wire.problems import Problem, detail_spec
from app.oauth.errors import OAuthError
from app.oauth.open_scopes import open_scopes
from app.oauth.resource import absolute_servers, resource_of
from app.services import AnyRequest, services_of

PATH = "/.well-known/oauth-protected-resource"
_ResourceQuery: TypeAlias = Annotated[
    str | None,
    QueryParameter(description="The address of a service behind a gateway, as its OpenAPI document states it."),
]
NO_RESOURCE = "This is neither a part of the public address nor of a service behind a gateway."
NO_PUBLIC_URL = "This deployment has not stated its public address: set AUTHZ_PUBLIC_URL."


class ProtectedResource(msgspec.Struct, omit_defaults=True):
    """The metadata of a resource (RFC 9728 section 2). Only that of this API has a name and a documentation."""

    resource: str
    authorization_servers: list[str]
    scopes_supported: list[str]
    bearer_methods_supported: list[str]
    resource_name: str | None = None
    resource_documentation: str | None = None


@get_or_head(
    PATH,
    summary="Describe this resource to OAuth clients",
    tags=["tokens"],
    responses={404: detail_spec("The deployment has not stated its public address", NO_PUBLIC_URL)},
)
async def retrieve_protected_resource(
    request: AnyRequest, resource: _ResourceQuery = None
) -> Response[ProtectedResource]:
    """The authorization server for apps, and the scopes that an app which is not registered may ask it for.

    If this deployment gives no tokens to apps: the issuers whose tokens are accepted, and all permissions. The address
    is never read from a Host header.
    """
    base = _public_url(request)
    if resource is None:
        return _describe(request, base)
    servers = absolute_servers(services_of(request.app).live.active.policy.services)
    return _describe(request, _known_resource(resource, base, servers))


@get_or_head(f"{PATH}/{{path:path}}", include_in_schema=False)
async def protected_resource_below(path: FromPath[Path], request: AnyRequest) -> Response[ProtectedResource]:
    """The same for a part of this resource (RFC 9728 section 3.1)."""
    base = _public_url(request)
    url = urlsplit(base)
    return _describe(request, _known_resource(f"{url.scheme}://{url.netloc}/{str(path).strip('/')}", base))


ROUTES = (retrieve_protected_resource, protected_resource_below)


def url_of(public_url: str, resource: str) -> str:
    """The address of the metadata of a resource: by its path if it is below the public URL, else by a parameter.

    Behind a gateway a service has an address of its own, at which it serves no metadata. A client that follows a
    challenge accepts metadata from any address if it names the resource (RFC 9728 section 3.3).
    """
    if resource == public_url:
        return public_url + PATH
    if resource.startswith(f"{public_url}/"):
        return f"{public_url}{PATH}{urlsplit(resource).path}"
    return f"{public_url}{PATH}?{urlencode({'resource': resource})}"


def _known_resource(resource: str, public_url: str, servers: Iterable[str] = ()) -> str:
    """The resource as tokens name it. Raises Problem 404 if this deployment has no such resource."""
    try:
        return resource_of([resource], public_url, servers)
    except OAuthError:
        raise Problem(404, NO_RESOURCE) from None


def _public_url(request: AnyRequest) -> str:
    base = services_of(request.app).settings.public_url
    if base is None:
        raise Problem(404, NO_PUBLIC_URL)
    return base


def _describe(request: AnyRequest, resource: str) -> Response[ProtectedResource]:
    services = services_of(request.app)
    snapshot = services.live.active
    if (server := services.authorization_server) is not None:
        servers, scopes = [server.issuer], list(open_scopes(snapshot))
    else:
        servers = [each.issuer.issuer for each in services.issuers.verifiers]
        scopes = [name for name, permission in snapshot.policy.catalog.items() if not permission.deprecated]
    base = services.settings.public_url
    is_own = resource == base
    content = ProtectedResource(
        resource=resource,
        authorization_servers=servers,
        scopes_supported=sorted(scopes),
        bearer_methods_supported=["header"],
        resource_name=services.settings.api_title if is_own else None,
        resource_documentation=f"{base}/docs" if is_own else None,
    )
    return Response(content, headers={"Cache-Control": "no-cache"})
