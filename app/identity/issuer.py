"""A trusted issuer: which of its tokens are accepted, and what is read from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

# The kinds of token that are accepted, by `typ` in the header. A token without `typ` counts as `jwt`.
SESSION_TOKEN = "jwt"  # noqa: S105  # a media type, not a password
ACCESS_TOKEN = "at+jwt"  # noqa: S105  # RFC 9068 section 2.1
API_TOKENS = frozenset({SESSION_TOKEN, ACCESS_TOKEN})
ID_TOKENS = frozenset({SESSION_TOKEN})

# The names of members from a claim inward: `("realm_access", "roles")`.
ClaimPath: TypeAlias = tuple[str, ...]
PERMISSIONS: ClaimPath = ("permissions",)
SCOPES: ClaimPath = ("scope",)
CLERK: Final = "clerk"
SETTINGS = "settings"  # the name of the issuer that the settings state


@dataclass(frozen=True, slots=True)
class OrganizationClaims:
    """The claims with the active organization of a user: its id, and if stated, the role in it, its name in addresses,
    and the user's permissions in it."""

    id: ClaimPath
    role: ClaimPath | None = None
    slug: ClaimPath | None = None
    permissions: ClaimPath | None = None


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer whose tokens are accepted.

    `name` is for operators, `issuer` is the exact `iss` of its tokens. `audiences`, `authorized_parties` and
    `skew_seconds` are those of `ClaimRules`; `kinds` are the accepted values of `typ`, without `application/`.
    `permissions` is the claim with the permissions. `subject_prefix` is put before each `sub`, so that users of
    different issuers have different subjects.

    With `is_delegating` the issuer is an authorization server whose access tokens are those of apps (RFC 9068):
    `scopes` is the claim with what the user consented to, and `permissions` are then those of the user. `own_clients`
    are the clients of the operator: a token that was issued to one of them is one of its user. If it is None, the
    operator has not said what the issuer is: only a token that names another client as RFC 9068 says is one of an app.
    If it is False, all tokens are those of users.

    `organizations` are the claims with the organization of the user, or `clerk` for those of Clerk's session tokens; if
    None, no organization is read.
    """

    name: str
    issuer: str
    jwks_url: str
    audiences: tuple[str, ...] = ()
    authorized_parties: tuple[str, ...] = ()
    kinds: frozenset[str] = API_TOKENS
    skew_seconds: int = 0
    permissions: ClaimPath = PERMISSIONS
    subject_prefix: str = ""
    is_delegating: bool | None = None
    scopes: ClaimPath = SCOPES
    own_clients: tuple[str, ...] = ()
    organizations: OrganizationClaims | Literal["clerk"] | None = None


def claim_at(claims: Mapping[str, object], path: ClaimPath) -> object:
    """The value at a path; None if there is none."""
    value: object = claims
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
