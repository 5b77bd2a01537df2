"""What API keys hold: limited scopes, in force only while the owner holds them through role rows of the active policy.

A key of an organization is limited by what rows give the organization, but role rows of the organization give the key
itself nothing: it would hold more than its scopes.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.identity.org_facts import ORG, ORG_ROLE
from app.identity.organization import Organization
from app.identity.principal import ANYONE, KEY_METHOD, LIMITED_SCOPE, OWNER_GRANT, is_fact
from app.policy.language.roles import Roles, close

_MARKS = (LIMITED_SCOPE, OWNER_GRANT)


def in_force(held: frozenset[str], roles: Roles) -> frozenset[str]:
    """Replace each limited scope by its permission if the owner holds that, and remove it otherwise."""
    marked = [grant for grant in held if grant.startswith(_MARKS)]
    if not marked:
        return held
    owned = (grant.removeprefix(OWNER_GRANT) for grant in marked if grant.startswith(OWNER_GRANT))
    scopes = {grant.removeprefix(LIMITED_SCOPE) for grant in marked if grant.startswith(LIMITED_SCOPE)}
    return held.difference(marked) | (scopes & owner_grants(owned, roles))


def leading(stated: frozenset[str]) -> frozenset[str]:
    """The stated grants to which role rows add others: of a key all but its organization."""
    if KEY_METHOD not in stated:
        return stated
    return stated.difference([grant for grant in stated if grant.startswith(ORG)])


def close_caller(stated: frozenset[str], roles: Roles) -> frozenset[str]:
    """What a caller holds that states these grants in force, with what role rows add."""
    return close(leading(stated), roles) | stated


def owner_grants(owned: Iterable[str], roles: Roles) -> frozenset[str]:
    """What an owner with these grants holds as a signed-in user."""
    return close((ANYONE, "auth:jwt", *owned), roles)


def token_grants(held: Iterable[str], scopes: Iterable[str], roles: Roles) -> frozenset[str]:
    """The permissions of a user's token to store with a new key of these scopes.

    These are the scopes that the token states, and the permissions from which `g` rows lead to other scopes. The
    remaining scopes came from role rows alone.
    """
    stated = frozenset(grant for grant in held if not is_fact(grant))
    requested = frozenset(scopes)
    others = requested - stated
    leading = {grant for grant in stated if grant in roles and not others.isdisjoint(close((grant,), roles))}
    return (requested & stated) | leading


def membership_grants(organization: Organization, scopes: Iterable[str], roles: Roles) -> frozenset[str]:
    """What a member has in an organization, to store with a new key of it with these scopes.

    These are the permissions as in `token_grants`, and the fact of the member's role.
    """
    role = (ORG_ROLE + organization.role,) if organization.role else ()
    return token_grants(organization.permissions, scopes, roles).union(role)
