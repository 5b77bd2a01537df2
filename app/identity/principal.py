"""The uniform principal: a person with a JWT, a program with an API key and a stranger, in one shape."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal

Method = Literal["jwt", "api_key", "anonymous"]

ANYONE = "anyone"
# A key's scope that its owner held through role rows, and what its owner is known to hold, from which the active policy
# tells whether the scope counts. Two colons, so that neither can be a permission of a catalogue.
LIMITED_SCOPE, OWNER_GRANT = "scope::", "owner::"
_FACT_PREFIXES = ("auth:", "env:", "user:", "key:", "role:", LIMITED_SCOPE, OWNER_GRANT)
_NO_CLAIMS: Mapping[str, object] = MappingProxyType({})


def is_fact(grant: str) -> bool:
    """Whether only the server may state this grant. A token that names one is not believed."""
    return grant == ANYONE or grant.startswith(_FACT_PREFIXES)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling.

    `subject` is the JWT's `sub`, for a key the `sub` of its owner, for a stranger empty. `held` are the
    grants as stated: permission strings and the server's own facts, before roles are added to them and the limited
    scopes of a key are worked out.
    `key_id`, `environment` and `expires_at` are of an API key, `token_id` is a JWT's `jti`, `session_id` is of the
    console.
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


ANONYMOUS = Principal(subject="", method="anonymous", held=frozenset({ANYONE, "auth:anonymous"}))


def user(
    subject: str, permissions: Iterable[str], claims: Mapping[str, object], *, session_id: int | None = None
) -> Principal:
    """The principal of a verified JWT: its permissions without claimed facts, and the facts of a person.

    `session_id` is that of the console's session that a token began.
    """
    stated = [permission for permission in permissions if not permission.startswith(_FACT_PREFIXES)]
    token_id = claims.get("jti")
    return Principal(
        subject,
        "jwt",
        frozenset([ANYONE, "auth:jwt", "user:" + subject, *stated]),
        MappingProxyType(dict(claims)),
        token_id=token_id if isinstance(token_id, str) else None,
        session_id=session_id,
    )


def program(
    subject: str,
    key_id: int,
    environment: str,
    scopes: Iterable[str],
    *,
    expires_at: datetime | None = None,
    token_grants: Collection[str] | None = None,
) -> Principal:
    """The principal of a verified API key: its scopes and its own facts, none of its owner's roles.

    `token_grants` are what its owner's token stated at the issue, as far as it matters to these scopes. Scopes that are
    not among them are limited, at each decision, to what role rows give the owner. None limits no scope.
    """
    stated = {scope for scope in scopes if not is_fact(scope)}
    held = {*stated, ANYONE, "auth:api_key", f"env:{environment}", f"key:{key_id}"}
    if token_grants is not None and (limited := stated.difference(token_grants)):
        owned = ("user:" + subject, *(grant for grant in token_grants if not is_fact(grant)))
        held -= limited
        held.update(LIMITED_SCOPE + scope for scope in limited)
        held.update(OWNER_GRANT + grant for grant in owned)
    return Principal(
        subject=subject,
        method="api_key",
        held=frozenset(held),
        key_id=key_id,
        environment=environment,
        expires_at=expires_at,
    )
