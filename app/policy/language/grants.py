"""Grants: permissions of the catalogue, and facts that only the server states."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Iterable, Sequence
from functools import cached_property

from app.identity.app_facts import APP_FACTS, APP_KIND, APP_KINDS, APP_METHOD, is_app_fact
from app.identity.org_facts import ORG, ORG_FACTS, ORG_ROLE, is_org_fact
from app.identity.principal import ON_BEHALF
from app.policy.language.caller import caller_fault, grants_in
from app.policy.language.fault import MAX_PAIRS_TOGETHER, NearWords, did_you_mean, nearest
from app.policy.language.rule import Membership

FACTS = (
    "anyone",
    "auth:jwt",
    "auth:api_key",
    APP_METHOD,
    "auth:anonymous",
    "env:live",
    "env:test",
    *(APP_KIND + kind for kind in APP_KINDS),
)
# A subject may contain `|`, as in `user:auth0|5f7c`, but not a second fact after it, no `*`, and only ASCII, which
# rules out lookalike letters.
_SUBJECT = r"[!$-)+\-.-{}~]+(\|[!$-)+\-.-9;-{}~]+)*"
_OPEN_FACT = re.compile(rf"(user:{_SUBJECT})|(key:[1-9][0-9]{{0,18}})|(role:[a-z][a-z0-9_-]*)")

_OPEN_FAMILIES = ("user", "key", "role", *(family.removesuffix(":") for family in (*APP_FACTS, *ORG_FACTS)))
_PERMISSION = re.compile(r"[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*")
_UNKNOWN = "add it to permissions.toml, or see policies/README.md for the facts"
_NEAR_FAMILY = 0.75  # `roles` is near to `role`, and `usr` to `user`

# The kinds of caller that can have a fact: a user is not a key, and a key is not a user. An app acts for a user. A
# user acts in one organization, and a key may belong to one; only a user has a role in it.
_METHODS = {
    "auth:jwt": frozenset({"jwt"}),
    "auth:api_key": frozenset({"api_key"}),
    APP_METHOD: frozenset({"oauth"}),
    "auth:anonymous": frozenset({"anonymous"}),
}
_FAMILY_METHODS = {
    "user": frozenset({"jwt", "oauth"}),
    "key": frozenset({"api_key"}),
    "env": frozenset({"api_key"}),
    **{family.removesuffix(":"): frozenset({"oauth"}) for family in APP_FACTS},
    ORG.removesuffix(":"): frozenset({"jwt", "oauth", "api_key"}),
    ORG_ROLE.removesuffix(":"): frozenset({"jwt", "oauth"}),
}
_ANY_METHOD = frozenset[str]()


def is_grant(word: str, catalog: Container[str]) -> bool:
    """Whether the word is a grant of a policy with this catalogue."""
    return word in catalog or word in FACTS or _is_open_fact(word)


def _is_open_fact(word: str) -> bool:
    return _OPEN_FACT.fullmatch(word) is not None or is_app_fact(word) or is_org_fact(word)


def grant_hint(word: str, catalog: Collection[str], roles: Iterable[str] = ()) -> str:
    """A hint for an unknown grant. `roles` are those of the policy."""
    if word == "*" or word.endswith(":*"):
        return "grants have no wildcards: list each permission, or write `anyone`"
    known = [*catalog, *FACTS, *roles]
    near = _of_family(word, known) or did_you_mean(word, known) or _open_fact(word)
    if _PERMISSION.fullmatch(word) and any(f"`{name}`" in near for name in catalog):
        return f"{near} If not, add it to permissions.toml"
    return near or _UNKNOWN


class GrantHints:
    """Hints for the unknown grants of one policy. After MAX_PAIRS_TOGETHER none names the nearest grant."""

    def __init__(self, catalog: Collection[str], roles: Callable[[], Collection[str]] = frozenset) -> None:
        self._catalog = catalog
        self._roles = roles
        self._left = MAX_PAIRS_TOGETHER

    def hint(self, word: str) -> str:
        """A hint for an unknown grant."""
        if self._left < 0:
            return _UNKNOWN
        self._left -= max(len(word), 1) * self._characters
        return grant_hint(word, self._catalog, self._known_roles)

    @cached_property
    def _known_roles(self) -> Collection[str]:
        return self._roles()

    @cached_property
    def _characters(self) -> int:
        return sum(map(len, self._catalog)) + sum(map(len, self._known_roles))


def _of_family(word: str, known: Sequence[str]) -> str:
    """A hint for a known grant whose family is missing or misspelled, or for a user or key in upper case."""
    family, colon, name = word.lower().partition(":")
    if not colon:
        matches = [grant for grant in known if grant.partition(":")[2] == family]
        return f"did you mean `{matches[0]}`?" if len(matches) == 1 else ""
    if family in ("user", "key"):
        return _open_fact(word)
    if family == "role":
        return near_role(name, [grant for grant in known if grant.startswith("role:")]) or _open_fact(word)
    near = nearest(family, {grant.partition(":")[0] for grant in known}, _NEAR_FAMILY)
    return f"did you mean `{near}:{name}`?" if near and f"{near}:{name}" in known else ""


def _open_fact(word: str) -> str:
    """A hint for a user, key or role whose family is missing or misspelled, or that has upper-case letters."""
    family, colon, name = word.partition(":")
    if not colon:
        candidates = [f"user:{word}", f"role:{word.lower()}"]
    else:
        near = nearest(family.lower(), _OPEN_FAMILIES, _NEAR_FAMILY)
        candidates = [f"{near}:{name}", f"{near}:{name.lower()}"] if near else []
        candidates = [fact for fact in candidates if _is_open_fact(fact)][:1]
    good = [f"`{fact}`" for fact in candidates if _is_open_fact(fact)]
    return f"did you mean {' or '.join(good)}?" if good else ""


def known_roles(memberships: Iterable[Membership]) -> frozenset[str]:
    """The roles in `g` rows. Any other role is probably misspelt, since no caller can hold it."""
    grants = {grant for row in memberships for grant in (row.member, row.grant)}
    return frozenset(grant for grant in grants if grant.startswith("role:"))


def near_role(role: str, roles: Iterable[str]) -> str:
    """A hint with the nearest of these roles, compared without `role:`; empty if none is near."""
    return NearRoles(roles).hint(role)


class NearRoles:
    """Hints for unknown roles among the same known ones."""

    def __init__(self, roles: Iterable[str]) -> None:
        self._near = NearWords(role.removeprefix("role:") for role in roles)

    def hint(self, role: str) -> str:
        """A hint with the nearest role; empty if none is near."""
        return self._near.hint(role.removeprefix("role:")).replace("`", "`role:", 1)


def role_fault(held: Iterable[str], roles: Collection[str]) -> tuple[str, str] | None:
    """Message and hint for the first role among these grants that no `g` row defines; None if there is none."""
    for grant in sorted(each.removeprefix(ON_BEHALF) for each in held):
        if grant.startswith("role:") and grant not in roles:
            hint = near_role(grant, roles) or f"define it with a `g` row, such as `g, user:user_2abc, {grant}`"
            return f"no `g` row defines `{grant}`", hint
    return None


def stated_fault(
    stated: Collection[str], catalog: Collection[str], memberships: Iterable[Membership]
) -> tuple[str, str] | None:
    """Message and hint for the words of a caller that are not valid or none at all; None if they are valid."""
    for grant in grants_in(stated):
        if not is_grant(grant, catalog):
            message = f"`{grant}` is an unknown permission, so it grants nothing"
            return message, grant_hint(grant, catalog, known_roles(memberships))
    if not stated:
        return "no grant is given", "give at least one; an anonymous caller holds auth:anonymous"
    if fault := caller_fault(stated):
        return fault[:2]
    return role_fault(stated, known_roles(memberships))


def excludes(held: Iterable[str], fact: str) -> bool:
    """Whether a caller with these grants can never have the fact, which belongs to another caller or kind of caller."""
    family, methods = _kind(fact)
    if not methods:
        return False
    for grant in held:
        other_family, other_methods = _kind(grant)
        if other_methods:
            methods &= other_methods
            if not methods or (other_family == family and grant != fact):
                return True
    return False


def methods_of(grant: str) -> frozenset[str]:
    """The kinds of caller that can state this grant; empty if any kind can."""
    return _kind(grant)[1]


def _kind(grant: str) -> tuple[str, frozenset[str]]:
    family = grant.partition(":")[0]
    return family, _METHODS.get(grant) or _FAMILY_METHODS.get(family, _ANY_METHOD)
