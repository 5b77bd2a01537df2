"""The form of a request of an app (RFC 6749 appendix B), and the operation that documents it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema

from app.http.wire.problems import Problem, detail_spec
from app.identity.bearer import authorization
from app.identity.errors import Unauthenticated
from app.oauth.errors import OAuthError
from app.oauth.requests import KEPT_PARAMETERS, OpenRequest
from app.oauth.server import AuthorizationServer
from app.services import AnyRequest, services_of

FORM = "application/x-www-form-urlencoded"
NO_SERVER = (
    "This deployment gives no tokens to apps: set AUTHZ_PUBLIC_URL, and AUTHZ_CONSOLE_CLIENT_ID for the sign-in."
)
NO_SERVER_SPEC = detail_spec("This deployment gives no tokens to apps", NO_SERVER)
_STRING, _OBJECT = OpenAPIType.STRING, OpenAPIType.OBJECT
_MAX_FIELDS = 30
_MAX_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class AppForm:
    """The parameters of a request, without empty ones. Only `resource` may be repeated (RFC 8707)."""

    parameters: Mapping[str, str]
    resources: tuple[str, ...]


def server_of(request: AnyRequest) -> AuthorizationServer:
    """The authorization server of the application. Raises Problem 404 if it has none."""
    server = services_of(request.app).authorization_server
    if server is None:
        raise Problem(404, NO_SERVER)
    return server


async def read_form(request: AnyRequest) -> AppForm:
    """Read a form. Raises OAuthError `invalid_request`."""
    if request.content_type[0] != FORM:
        raise OAuthError("invalid_request", f"Send the parameters as a form, with Content-Type: {FORM}.")
    body = await request.body()
    if len(body) > _MAX_BYTES:
        raise OAuthError("invalid_request", f"The form has more than {_MAX_BYTES} bytes.")
    try:
        return read_parameters(body.decode("ascii"))
    except UnicodeDecodeError:
        raise OAuthError("invalid_request", "The form is not encoded as one.") from None


def read_parameters(text: str) -> AppForm:
    """Read the parameters of a query or a form. Raises OAuthError `invalid_request` if one is repeated."""
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError:
        raise OAuthError("invalid_request", "The parameters are not encoded as those of a form.") from None
    if any("\x00" in value for _, value in pairs):
        raise OAuthError("invalid_request", "A parameter has a character that no value can have.")
    stated = [(name, value) for name, value in pairs if value]  # RFC 6749 section 3.1: an empty one is omitted
    parameters = {name: value for name, value in stated if name != "resource"}
    if len(parameters) != sum(name != "resource" for name, _ in stated):
        raise OAuthError("invalid_request", "A parameter is repeated.")
    return AppForm(parameters, tuple(value for name, value in stated if name == "resource"))


def kept_request(client_id: str, form: AppForm) -> OpenRequest:
    """What is kept of the parameters of a request."""
    parameters: dict[str, str] = {name: form.parameters[name] for name in KEPT_PARAMETERS if name in form.parameters}
    if form.resources:
        parameters["resource"] = " ".join(form.resources)
    return OpenRequest(client_id, parameters)


def authorization_of(request: AnyRequest) -> str | None:
    """The value of the `Authorization` header; None without one. Raises OAuthError if there are two."""
    try:
        value = authorization(request.scope["headers"])
    except Unauthenticated as twice:
        raise OAuthError("invalid_request", twice.fault.value) from None
    return None if value is None else value.decode("latin-1")


def form_operation(required: Iterable[str], **fields: str) -> type[Operation]:
    """An operation with a form of these fields, with their descriptions, of which some are required.

    They are documented here because Litestar does not parse the form: its parser is lenient.
    """
    properties = {name: Schema(type=_STRING, description=description) for name, description in fields.items()}
    form = Schema(type=_OBJECT, required=list(required), properties=dict(properties))

    @dataclass  # so that __init__ calls __post_init__
    class FormOperation(Operation):
        def __post_init__(self) -> None:
            self.request_body = RequestBody(content={FORM: OpenAPIMediaType(schema=form)}, required=True)

    return FormOperation


CLIENT_FIELDS = {
    "client_id": "The id of the app, unless it authenticates with HTTP Basic.",
    "client_secret": "The secret of the app, if it has one and does not use HTTP Basic.",
}
