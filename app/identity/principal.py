"""The principal of a request: a user with a JWT, a client with an API key, an app of a user, or an anonymous caller."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from app.identity.app_facts import APP_FACTS, AppIdentity, InvalidApp, app_facts
from app.identity.org_facts import ORG_FACTS, ORG_ROLE, owner_of_keys
from app.identity.organization import Organization

Method = Literal["jwt", "api_key", "oauth", "anonymous"]

ANYONE = "anyone"
KEY_METHOD = "auth:api_key"  # the fact of every API key, and of no other caller
# Prefixes of a key's scope that its owner held only through role rows, and of a grant that its owner is known to hold:
# from both the active policy decides whether the scope applies. With two colons neither is a valid permission.
LIMITED_SCOPE, OWNER_GRANT = "scope::", "owner::"
# Prefixes of a scope that the user consented to for an app, and of a grant of that user. The remaining grants of an app
# are its facts. From all of them the policy decides for the app and for the user; both must be allowed.
CONSENTED, ON_BEHALF = "consented::", "on-behalf::"
_FACT_PREFIXES = (
    "auth:",
    "env:",
    "user:",
    "key:",
    "role:",
    *APP_FACTS,
    *ORG_FACTS,
    LIMITED_SCOPE,
    OWNER_GRANT,
    CONSENTED,
    ON_BEHALF,
)
_MAX_STORED = 255  # characters of a text about an acting party
UNKNOWN_PARTY = "unknown"  # the acting party of a token that does not name it
_NO_CLAIMS: Mapping[str, object] = MappingProxyType({})


def is_fact(grant: str) -> bool:
    """Whether only the server may state this grant. In a token it is ignored."""
    return grant == ANYONE or grant.startswith(_FACT_PREFIXES)


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a request.

    `subject` is the JWT's `sub`, the `sub` of the owner of a key or of the user of an app, `org:<id>` for the key of an
    organization, or empty for an anonymous caller. `held` are permissions and facts, before the policy adds roles and
    resolves the scopes of a key or an app. `key_id` and `environment` belong to an API key, `expires_at` to a key or
    the token of an app, which `client_id` names; `resource` is what such a token is bound to (RFC 8707). `token_id` is
    a JWT's `jti`; `session_id` is that of a console session. `impersonator` is the party that acts as the subject, by
    the `act` claim of a token. `organization` is the active one of a user, or the one that a key belongs to.
    """

    subject: str
    method: Method
    held: frozenset[str]
    claims: Mapping[str, object] = field(default_factory=lambda: _NO_CLAIMS, hash=False, compare=False)
    key_id: int | None = None
    environment: str | None = None
    token_id: str | None = None
    expires_at: datetime | None = None
    session_id: int | None = None
    client_id: str | None = None
    impersonator: str | None = None
    resource: str | None = None
    organization: Organization | None = None


ANONYMOUS = Principal(subject="", method="anonymous", held=frozenset({ANYONE, "auth:anonymous"}))


def user_principal(
    subject: str,
    permissions: Iterable[str],
    claims: Mapping[str, object],
    *,
    session_id: int | None = None,
    organization: Organization | None = None,
) -> Principal:
    """The principal of a verified JWT: its permissions, without any facts among them, and the facts of a user.

    `session_id` is that of the console session that was started with the token.
    """
    granted = [permission for permission in permissions if not permission.startswith(_FACT_PREFIXES)]
    member = organization.facts if organization else ()
    return Principal(
        subject,
        "jwt",
        frozenset([ANYONE, "auth:jwt", "user:" + subject, *member, *granted]),
        MappingProxyType(dict(claims)),
        token_id=token_id(claims),
        session_id=session_id,
        impersonator=impersonator_of(claims),
        organization=organization,
    )


def token_id(claims: Mapping[str, object]) -> str | None:
    """The `jti` of a verified JWT, if it has one."""
    found = claims.get("jti")
    return found if isinstance(found, str) else None


def key_principal(
    subject: str,
    key_id: int,
    environment: str,
    scopes: Iterable[str],
    *,
    expires_at: datetime | None = None,
    token_grants: Collection[str] | None = None,
) -> Principal:
    """The principal of a verified API key: its scopes and its facts, without the roles of its owner.

    `token_grants` are the grants in its owner's token at issue. A scope that is not among them is limited, at each
    decision, to what role rows grant the owner. None limits no scope.
    """
    granted = {scope for scope in scopes if not is_fact(scope)}
    held = {*granted, ANYONE, KEY_METHOD, f"env:{environment}", f"key:{key_id}"}
    if token_grants is not None and (limited := granted.difference(token_grants)):
        owner_grants = ("user:" + subject, *(grant for grant in token_grants if not is_fact(grant)))
        held = _limit(held, limited, owner_grants)
    return Principal(
        subject=subject,
        method="api_key",
        held=frozenset(held),
        key_id=key_id,
        environment=environment,
        expires_at=expires_at,
    )


def organization_key_principal(
    organization: str,
    key_id: int,
    environment: str,
    scopes: Iterable[str],
    membership_grants: Collection[str],
    *,
    expires_at: datetime | None = None,
) -> Principal:
    """The principal of a verified API key of an organization: its scopes, its facts and that of the organization.

    `membership_grants` are what the person who issued it had in the organization then: the permissions that the token
    stated, and the fact of a role. A scope that is not among the permissions is limited, at each decision, to what role
    rows grant the organization and this role in it. The key itself has no role.
    """
    granted = {scope for scope in scopes if not is_fact(scope)}
    stated = {grant for grant in membership_grants if not is_fact(grant)}
    fact = owner_of_keys(organization)
    held = {*granted, ANYONE, KEY_METHOD, f"env:{environment}", f"key:{key_id}", fact}
    if limited := granted - stated:
        roles = (grant for grant in membership_grants if grant.startswith(ORG_ROLE))
        held = _limit(held, limited, (fact, *roles, *stated))
    return Principal(
        subject=fact,
        method="api_key",
        held=frozenset(held),
        key_id=key_id,
        environment=environment,
        expires_at=expires_at,
        organization=Organization(organization),
    )


def _limit(held: set[str], limited: set[str], owner_grants: Iterable[str]) -> set[str]:
    """Mark the limited scopes among what is held, and add the grants of the owner that limit them."""
    return {
        *(held - limited),
        *(LIMITED_SCOPE + scope for scope in limited),
        *(OWNER_GRANT + grant for grant in owner_grants),
    }


def delegated_principal(
    subject: str,
    app: AppIdentity,
    scopes: Iterable[str],
    user_permissions: Iterable[str],
    *,
    claims: Mapping[str, object] = _NO_CLAIMS,
    token_id: str | None = None,
    expires_at: datetime | None = None,
    resource: str | None = None,
    organization: Organization | None = None,
) -> Principal:
    """The principal of an app that acts on behalf of the user `subject`.

    `scopes` are those that the user consented to, `user_permissions` those of the user's last sign-in. Facts among
    both are ignored. The user side has the facts of the user's organization. Neither side is a signed-in user:
    `auth:jwt` is never held. Raises InvalidApp.
    """
    if not subject:
        raise InvalidApp("an app acts on behalf of a user, and the user has no subject")
    held = {ANYONE, *app_facts(app), f"{ON_BEHALF}user:{subject}"}
    held.update(CONSENTED + scope for scope in scopes if not is_fact(scope))
    held.update(ON_BEHALF + permission for permission in user_permissions if not is_fact(permission))
    held.update(ON_BEHALF + fact for fact in (organization.facts if organization else ()))
    return Principal(
        subject,
        "oauth",
        frozenset(held),
        MappingProxyType(dict(claims)),
        token_id=token_id,
        expires_at=expires_at,
        client_id=app.client_id,
        impersonator=impersonator_of(claims),
        resource=resource,
        organization=organization,
    )


def acting_party(claims: Mapping[str, object]) -> Mapping[str, object]:
    """The `act` claim (RFC 8693 section 4.1, Clerk's session tokens): who acts as the subject; empty without one.

    It always has a `sub`, so that a row about impersonation applies to a party that the token does not name, too. A
    claim that is not an object is that of such a party.
    """
    act = claims.get("act")
    if act is None:
        return _NO_CLAIMS
    party = act if isinstance(act, Mapping) else _NO_CLAIMS
    subject = party.get("sub")
    return party if isinstance(subject, str) and subject else {**party, "sub": UNKNOWN_PARTY}


def stored_act(claims: Mapping[str, object]) -> dict[str, str] | None:
    """The acting party in the form that is stored for a session: its issuer and subject; None without one."""
    impersonator = impersonator_of(claims)
    if impersonator is None:
        return None
    issuer = acting_party(claims).get("iss")
    found = {"sub": impersonator, **({"iss": issuer} if isinstance(issuer, str) else {})}
    # Databases refuse NUL in a text.
    return {name: text[:_MAX_STORED].replace("\x00", "\ufffd") for name, text in found.items()}


def impersonator_of(claims: Mapping[str, object]) -> str | None:
    """The `sub` of the acting party, the last of a chain; None if the subject acts itself."""
    subject = acting_party(claims).get("sub")
    return subject if isinstance(subject, str) else None
