"""Dynamic registration of apps (RFC 7591), where the settings allow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec
from litestar import Response, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema

from app.http.api.oauth.errors import TokenError, no_store
from app.http.api.oauth.form import server_of
from app.http.door.budgets import REGISTRATIONS
from app.http.wire.handlers import RequestSession
from app.http.wire.problems import Problem, detail_spec
from app.oauth import dynamic_clients
from app.oauth.errors import OAuthError
from app.oauth.exchange import GRANT_TYPES
from app.oauth.fair_share import origin_of
from app.services import AnyRequest, services_of

PATH = "/oauth/register"
OFF = "Apps cannot register themselves here: an administrator registers them."
MAX_BYTES = 16_384
_JSON = "application/json"


class RegistrationResponse(msgspec.Struct, omit_defaults=True):
    """An app that registered itself. It expires unless a user allows it something within a day."""

    client_id: str
    client_id_issued_at: int
    client_name: str
    redirect_uris: list[str]
    token_endpoint_auth_method: str
    grant_types: tuple[str, ...]
    response_types: tuple[str, ...]
    client_secret: str | None = None
    client_secret_expires_at: int | None = None


@dataclass  # so that __init__ calls __post_init__
class _RegistrationOperation(Operation):
    """An operation that reads its own body, so that its errors have the shape of RFC 7591."""

    def __post_init__(self) -> None:
        text = Schema(type=OpenAPIType.STRING)
        texts = Schema(type=OpenAPIType.ARRAY, items=text)
        properties = {
            "redirect_uris": replace(texts, min_items=1),
            "client_name": text,
            "token_endpoint_auth_method": text,
            "grant_types": texts,
            "response_types": texts,
        }
        body = Schema(type=OpenAPIType.OBJECT, required=["redirect_uris"], properties=dict(properties))
        self.request_body = RequestBody(content={_JSON: OpenAPIMediaType(schema=body)}, required=True)


@post(
    PATH,
    status_code=201,
    summary="Register an app by itself",
    tags=["apps"],
    operation_class=_RegistrationOperation,
    responses={
        201: ResponseSpec(RegistrationResponse, description="The app, with its secret if it authenticates with one"),
        400: ResponseSpec(TokenError, description="The metadata is not accepted"),
        404: detail_spec("Apps cannot register themselves here", OFF),
        429: ResponseSpec(TokenError, description="Too many registrations"),
    },
)
async def register_client(request: AnyRequest, session: RequestSession) -> Response[bytes]:
    """Every caller gets a client id. The app may do nothing until a user allows it something."""
    server_of(request)
    services = services_of(request.app)
    if not services.settings.app_registration:
        raise Problem(404, OFF)
    services.budgets.check_request(REGISTRATIONS, request.scope)
    services.disk.require_space()
    requested = dynamic_clients.read_metadata(await _metadata(request))
    origin = origin_of(services.budgets.address_of(request.scope))
    new = await dynamic_clients.register_client(session, requested, origin, datetime.now(UTC))
    content = RegistrationResponse(
        client_id=new.app.client_id,
        client_id_issued_at=int(new.app.created_at.timestamp()),
        client_name=new.app.name,
        redirect_uris=list(new.app.redirect_uris),
        token_endpoint_auth_method=new.auth_method,
        grant_types=GRANT_TYPES,
        response_types=("code",),
        client_secret=new.secret,
        client_secret_expires_at=None if new.secret is None else 0,  # never
    )
    return no_store(msgspec.json.encode(content), 201)


async def _metadata(request: AnyRequest) -> Mapping[str, object]:
    """The JSON object in the body. Raises OAuthError `invalid_client_metadata`."""
    if request.content_type[0] != _JSON:
        raise OAuthError("invalid_client_metadata", f"Send the metadata as JSON, with Content-Type: {_JSON}.")
    body = await request.body()
    if len(body) > MAX_BYTES:
        raise OAuthError("invalid_client_metadata", f"The metadata has more than {MAX_BYTES} bytes.")
    try:
        metadata = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise OAuthError("invalid_client_metadata", "The metadata is not JSON in UTF-8.") from None
    if not isinstance(metadata, dict):
        raise OAuthError("invalid_client_metadata", "The metadata is not a JSON object.")
    return metadata
