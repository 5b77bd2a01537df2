"""Limited scopes of API keys, in force only while the owner holds them through role rows of the active policy."""

from __future__ import annotations

from collections.abc import Iterable

from app.identity.principal import ANYONE, LIMITED_SCOPE, OWNER_GRANT, is_fact
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
