"""Token introspection (RFC 7662)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl

import msgspec
from litestar import MediaType, Response, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema

from app.http.wire.problems import Problem, detail_spec
from app.identity.errors import Unauthenticated
from app.identity.principal import Principal, is_fact, stored_act
from app.policy.engine.delegation import consented_scopes
from app.policy.engine.snapshot import Snapshot
from app.services import AnyRequest, services_of

_FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 10
# The claims of a JWT that a resource server may read (RFC 7662 section 2.2).
_CLAIMS = ("iss", "aud", "exp", "iat", "nbf", "jti")
# RFC 6749 section 3.3. Clients split a scope at spaces, so a grant that contains one would be read as other grants.
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


class Introspection(msgspec.Struct, omit_defaults=True):
    """The state of a token. All fields but `active` are present only for an active token."""

    active: Annotated[bool, msgspec.Meta(description="whether the token is accepted now")]
    scope: Annotated[str | None, msgspec.Meta(description="its permissions, separated by spaces")] = None
    sub: Annotated[
        str | None,
        msgspec.Meta(
            description="the user, or the owner of the key, `org:<id>` if that is an organization; "
            "for an app the user that it acts for"
        ),
    ] = None
    client_id: Annotated[
        str | None, msgspec.Meta(description="`azp` of a JWT, `key:<id>` of an API key, the id of an app")
    ] = None
    token_type: str | None = None
    exp: float | None = None  # as an integer if it is one
    iat: float | None = None
    nbf: float | None = None
    iss: str | None = None
    aud: str | list[str] | None = None
    jti: str | None = None
    org_id: Annotated[
        str | None, msgspec.Meta(description="the active organization of the user, or the one that the key belongs to")
    ] = None
    act: Annotated[
        dict[str, str] | None, msgspec.Meta(description="the party that acts as the user (RFC 8693): `sub`, and `iss`")
    ] = None


# The same response for all inactive tokens, so that it does not reveal the reason (section 2.2).
_INACTIVE = msgspec.json.encode(Introspection(active=False))
_ENCODER = msgspec.json.Encoder()


@dataclass  # so that __init__ calls __post_init__
class _FormOperation(Operation):
    """An operation with a form, which is documented here because Litestar does not parse it: its parser is lenient."""

    def __post_init__(self) -> None:
        text = OpenAPIType.STRING
        token = Schema(
            type=text, min_length=1, description="The token, a JWT, an API key or the access token of an app."
        )
        hint = Schema(type=text, description="Ignored: the prefix of a token shows its type.")
        fields = {"token": token, "token_type_hint": hint}
        form = Schema(type=OpenAPIType.OBJECT, required=["token"], properties=dict(fields))
        self.request_body = RequestBody(content={_FORM: OpenAPIMediaType(schema=form)}, required=True)


@post(
    "/oauth/introspect",
    status_code=200,
    summary="Introspect a token",
    tags=["tokens"],
    operation_class=_FormOperation,
    responses={
        200: ResponseSpec(Introspection, description="The state of the token"),
        400: detail_spec("The form is invalid", "The form must have one `token`."),
        415: detail_spec("The body is not a form", f"The request body must be a form: send Content-Type: {_FORM}."),
    },
)
async def introspect_token(request: AnyRequest) -> Response[bytes]:
    """Whether a token is active, with its permissions and claims. For an inactive token there is only `active`."""
    services = services_of(request.app)
    token = _token(request.content_type[0], await request.body(), services.authenticator.max_bytes)
    try:
        principal = await services.authenticator.verify_token(token)
    except Unauthenticated:  # not CannotVerify: the token may be active
        return _answer(_INACTIVE)
    return _answer(_ENCODER.encode(_active(principal, services.live.active, services.settings.public_url)))


def _answer(body: bytes) -> Response[bytes]:
    return Response(body, media_type=MediaType.JSON, headers={"Cache-Control": "no-store"})


def _active(principal: Principal, snapshot: Snapshot, issuer: str | None) -> Introspection:
    if principal.resource is not None:
        return _token_of_app(principal, snapshot, issuer)
    scope = _scope(principal, snapshot)
    organization = principal.organization.id if principal.organization else None
    if principal.key_id is not None:
        expires = int(principal.expires_at.timestamp()) if principal.expires_at else None
        return Introspection(
            active=True,
            scope=scope,
            sub=principal.subject,
            client_id=f"key:{principal.key_id}",
            token_type="Bearer",  # noqa: S106  # the name of a type, no secret
            exp=expires,
            org_id=organization,
        )
    claims = {name: principal.claims[name] for name in _CLAIMS if name in principal.claims}
    party = principal.claims.get("azp")
    return Introspection(
        active=True,
        scope=scope,
        sub=principal.subject,
        client_id=principal.client_id or (party if isinstance(party, str) else None),
        token_type="Bearer",  # noqa: S106  # as above
        org_id=organization,
        act=stored_act(principal.claims),
        **claims,  # type: ignore[arg-type]  # whose types the verifier has checked
    )


def _token_of_app(principal: Principal, snapshot: Snapshot, issuer: str | None) -> Introspection:
    return Introspection(
        active=True,
        scope=_scope(principal, snapshot),
        sub=principal.subject,
        client_id=principal.client_id,
        token_type="Bearer",  # noqa: S106  # as above
        exp=int(principal.expires_at.timestamp()) if principal.expires_at else None,
        iss=issuer,
        aud=principal.resource,
        org_id=principal.organization.id if principal.organization else None,
    )


def _scope(principal: Principal, snapshot: Snapshot) -> str:
    """The permissions of a caller; of an app, the scopes that the user consented to and holds as well."""
    if principal.method == "oauth":
        grants = consented_scopes(principal.held, snapshot.may_ask) & snapshot.effective(principal.held)
    else:
        grants = snapshot.in_force(principal.held)
    return " ".join(sorted(grant for grant in grants if _SCOPE_TOKEN.fullmatch(grant) and not is_fact(grant)))


def _token(content_type: str, body: bytes, max_bytes: int) -> str:
    """Read the token in a form. Raises Problem."""
    if content_type != _FORM:
        raise Problem(415, f"The request body must be a form: send Content-Type: {_FORM}.")
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError:
        raise Problem(400, "The request body is not a form.") from None
    match [value for name, value in fields if name == "token"]:
        case [token] if token:
            if len(token) > max_bytes:
                raise Problem(400, f"The token is longer than {max_bytes} bytes.")
            return token
    raise Problem(400, "The form must have one `token`.")
