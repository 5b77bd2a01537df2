"""Who holds a grant: the stated grants that lead to it, and which of those one caller can combine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from app.identity.org_facts import ORG
from app.identity.permission_claim import parse_permissions
from app.identity.principal import ANYONE, ON_BEHALF, is_fact
from app.policy.language.entities import Entity
from app.policy.language.grants import methods_of
from app.policy.language.load import Policy
from app.policy.language.roles import chain, close
from app.policy.language.rule import Membership

# How a caller can obtain one of several grants, by kind of caller: the families of facts that it may use.
# A caller has at most one fact of each family, except `auth:…`, which its kind implies. None: by a permission.
Ways = Mapping[str, frozenset[str]] | None


SUBJECT = "subject "
_APPS = frozenset({"oauth"})
_SubjectKey = tuple[str, str]


class GrantHolders(Protocol):
    """How callers obtain grants under one policy: see Holders."""

    @property
    def everyones(self) -> frozenset[str]:
        """The grants that all of these callers hold."""

    @property
    def links(self) -> frozenset[tuple[str, str]]:
        """What leads to what."""

    def sources(self, grant: str) -> frozenset[str]:
        """The grants that a caller can state to hold this one."""

    def way(self, stated: Iterable[str], grant: str) -> tuple[Membership, ...]:
        """The shortest chain of `g` rows from one of the stated grants to this one."""


class Holders:
    """How callers obtain grants under one policy. A role is never stated: only `g` rows add it.

    A subject of an AuthZEN request also holds the permissions in its attributes. Such a subject, by type and id, is
    treated as a grant, written `subject user user_2abc`. Without `of_apps`, no caller states a fact of apps.
    """

    def __init__(self, policy: Policy, subjects: Iterable[_SubjectKey] = (), *, of_apps: bool = True) -> None:
        self._into: dict[str, list[Membership]] = {}
        self._from: dict[str, list[Membership]] = {}
        rows = [*policy.memberships, *(row for key in subjects for row in _subject_rows(policy, key))]
        for row in rows:
            self._into.setdefault(row.grant, []).append(row)
            self._from.setdefault(row.member, []).append(row)
        self._of_apps = of_apps
        self._sources: dict[str, frozenset[str]] = {}
        self.everyones = close((ANYONE,), policy.roles)
        self.links = frozenset((row.member, row.grant) for row in rows)

    def sources(self, grant: str) -> frozenset[str]:
        """The grants that a caller can state to hold this one, including itself unless it is a role."""
        known = self._sources.get(grant)
        if known is None:
            found = {grant}
            todo = [grant]
            while todo:
                new = {row.member for row in self._into.get(todo.pop(), ())} - found
                found |= new
                todo += new
            known = self._sources[grant] = frozenset(filter(self._is_stated, found))
        return known

    def _is_stated(self, grant: str) -> bool:
        return not grant.startswith("role:") and (self._of_apps or methods_of(grant) != _APPS)

    def way(self, stated: Iterable[str], grant: str) -> tuple[Membership, ...]:
        """The shortest chain of `g` rows from one of the stated grants to this one."""
        return chain(self._from, frozenset(stated), grant)


def permitted_subjects(policy: Policy) -> frozenset[_SubjectKey]:
    """The subjects for which the policy's entities state permissions."""
    return frozenset(key for key, entity in policy.entities.subjects.items() if _permissions(entity))


def _permissions(entity: Entity | None) -> list[str]:
    found = parse_permissions(entity.properties.get("permissions")) if entity else []
    return [grant for grant in found if not is_fact(grant)]


def _subject_rows(policy: Policy, key: _SubjectKey) -> Iterator[Membership]:
    """What a subject of an AuthZEN request holds, as `g` rows."""
    kind, identity = key
    name = f"{SUBJECT}{kind} {identity}"
    if kind == "user":
        yield from (Membership("", 0, name, fact) for fact in ("auth:jwt", f"user:{identity}"))
    entity = policy.entities.subjects.get(key)
    if entity and kind != "key":  # a key holds only what the database says
        yield from (Membership(entity.file, entity.line, name, grant, None) for grant in _permissions(entity))


def ways(grants: Iterable[str], needs: Iterable[str]) -> Ways:
    """How a caller can obtain one of these grants, each of which leads to the needs.

    Rows give the key of an organization nothing: the fact of the organization leads a key to no other grant.
    """
    needed = frozenset(need.removeprefix(ON_BEHALF) for need in needs)
    found: dict[str, set[str]] = {}
    for grant in (each.removeprefix(ON_BEHALF) for each in grants):
        # The subject of an AuthZEN request holds nothing that its caller states.
        is_subject = grant.startswith(SUBJECT)
        methods = frozenset({SUBJECT}) if is_subject else methods_of(grant)
        if grant.startswith(ORG) and grant not in needed:
            methods -= {"api_key"}
        if not methods:
            return None
        for method in methods:
            found.setdefault(method, set()).add(SUBJECT if is_subject else grant.partition(":")[0])
    return {method: frozenset(families) for method, families in found.items()}


def can_be_combined(each: Iterable[Ways]) -> bool:
    """Whether one caller can obtain all of these, which have no grant in common."""
    bound = [by_method for by_method in each if by_method is not None]
    methods = set(bound[0]).intersection(*bound[1:])
    return any(_assignable([by[method] for by in bound if "auth" not in by[method]], frozenset()) for method in methods)


def _assignable(choices: list[frozenset[str]], used: frozenset[str]) -> bool:
    """Whether each choice can have a different family."""
    if not choices:
        return True
    return any(_assignable(choices[1:], used | {family}) for family in choices[0] - used)
