"""Scopes of API keys that count only while their owner holds them through role rows of the active policy."""

from __future__ import annotations

from collections.abc import Iterable

from app.identity.principal import ANYONE, LIMITED_SCOPE, OWNER_GRANT, is_fact
from app.policy.language.roles import Roles, close

_MARKS = (LIMITED_SCOPE, OWNER_GRANT)


def in_force(held: frozenset[str], roles: Roles) -> frozenset[str]:
    """The grants, with each limited scope as the permission that it is if the owner holds it, else without it."""
    marked = [grant for grant in held if grant.startswith(_MARKS)]
    if not marked:
        return held
    owned = (grant.removeprefix(OWNER_GRANT) for grant in marked if grant.startswith(OWNER_GRANT))
    scopes = {grant.removeprefix(LIMITED_SCOPE) for grant in marked if grant.startswith(LIMITED_SCOPE)}
    return held.difference(marked) | (scopes & owner_grants(owned, roles))


def owner_grants(owned: Iterable[str], roles: Roles) -> frozenset[str]:
    """What an owner with these grants holds, as the signed-in person that it is."""
    return close((ANYONE, "auth:jwt", *owned), roles)


def token_grants(held: Iterable[str], scopes: Iterable[str], roles: Roles) -> frozenset[str]:
    """Of what a person holds, the permissions that its token stated and that a key with these scopes is to remember.

    These are the scopes among them, and those from which `g` rows lead to other scopes. What is left of the scopes came
    from role rows alone.
    """
    stated = frozenset(grant for grant in held if not is_fact(grant))
    wanted = frozenset(scopes)
    others = wanted - stated
    leading = {grant for grant in stated if grant in roles and not others.isdisjoint(close((grant,), roles))}
    return (wanted & stated) | leading
