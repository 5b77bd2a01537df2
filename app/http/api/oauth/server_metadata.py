"""The metadata of the authorization server (RFC 8414), from which apps learn its endpoints."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from litestar import MediaType, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from app.http.api.oauth import registration
from app.http.api.oauth.form import NO_SERVER, NO_SERVER_SPEC, server_of
from app.http.wire.handlers import get_or_head
from app.http.wire.problems import Problem
from app.oauth.client_authentication import METHODS
from app.oauth.exchange import GRANT_TYPES
from app.oauth.server import AuthorizationServer
from app.services import AnyRequest, services_of

PATH = "/.well-known/oauth-authorization-server"


class ServerMetadata(msgspec.Struct, omit_defaults=True):
    """The metadata of the authorization server (RFC 8414 section 2)."""

    issuer: str
    authorization_endpoint: str
    pushed_authorization_request_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    introspection_endpoint: str
    response_types_supported: tuple[str, ...]
    response_modes_supported: tuple[str, ...]
    grant_types_supported: tuple[str, ...]
    token_endpoint_auth_methods_supported: tuple[str, ...]
    revocation_endpoint_auth_methods_supported: tuple[str, ...]
    code_challenge_methods_supported: tuple[str, ...]
    authorization_response_iss_parameter_supported: bool
    client_id_metadata_document_supported: bool
    service_documentation: str
    registration_endpoint: str | None = None


_ANSWERS = {
    200: ResponseSpec(ServerMetadata, description="The endpoints, and what they support"),
    404: NO_SERVER_SPEC,
}


@get_or_head(PATH, summary="Describe the authorization server to apps", tags=["apps"], responses=_ANSWERS)
async def retrieve_authorization_server(request: AnyRequest) -> Response[bytes]:
    """The endpoints, and what they support. The address is never read from a Host header."""
    return _answer(server_of(request), request)


@get_or_head(f"{PATH}/{{path:path}}", include_in_schema=False)
async def authorization_server_below(path: FromPath[Path], request: AnyRequest) -> Response[bytes]:
    """The same for an issuer with a path (RFC 8414 section 3.1)."""
    server = server_of(request)
    if urlsplit(server.issuer).path != f"/{str(path).strip('/')}":
        raise Problem(404, NO_SERVER)
    return _answer(server, request)


ROUTES = (retrieve_authorization_server, authorization_server_below)


def _answer(server: AuthorizationServer, request: AnyRequest) -> Response[bytes]:
    base = server.issuer
    may_register = services_of(request.app).settings.app_registration
    content = ServerMetadata(
        issuer=base,
        authorization_endpoint=f"{server.console}/oauth/authorize",
        pushed_authorization_request_endpoint=f"{base}/oauth/par",
        token_endpoint=f"{base}/oauth/token",
        revocation_endpoint=f"{base}/oauth/revoke",
        introspection_endpoint=f"{base}/oauth/introspect",
        response_types_supported=("code",),
        response_modes_supported=("query",),
        grant_types_supported=GRANT_TYPES,
        token_endpoint_auth_methods_supported=METHODS,
        revocation_endpoint_auth_methods_supported=METHODS,
        code_challenge_methods_supported=("S256",),
        authorization_response_iss_parameter_supported=True,
        client_id_metadata_document_supported=True,
        service_documentation=f"{base}/docs",
        registration_endpoint=f"{base}{registration.PATH}" if may_register else None,
    )
    body = msgspec.json.encode(content)
    return Response(body, media_type=MediaType.JSON, headers={"Cache-Control": "no-cache"})
