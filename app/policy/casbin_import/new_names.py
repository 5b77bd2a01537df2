"""The names of subjects, roles and domains in the new policy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from app.identity.org_facts import ORG, is_org_fact
from app.policy.casbin_import.role_graph import RoleKey
from app.policy.language.grants import is_grant
from app.policy.language.rule import THING, VERB

MAX_SLUG = 60
_OTHER = re.compile(r"[^a-z0-9_]+")
_NONE: Mapping[str, str] = MappingProxyType({})
_UNSAFE = frozenset(' ,#"*{}|')


class NewNames:
    """Names roles, each once. `reserved` are the roles of the policy that the rows are added to.

    `subjects` are the grants of subjects that are no users, or that are users although others inherit from them.
    """

    def __init__(self, service: str, reserved: Iterable[str] = (), subjects: Mapping[str, str] = _NONE) -> None:
        self._service = service
        self.subjects = subjects
        self._taken = set(reserved)
        self._roles: dict[RoleKey, str] = {}

    @property
    def roles(self) -> Mapping[RoleKey, str]:
        """The grant of each role that was named."""
        return MappingProxyType(self._roles)

    def role(self, key: RoleKey) -> str:
        """The grant of a role: `role:orders-admin`, with a number if another role has this name."""
        found = self._roles.get(key)
        if found is None:
            words = [self._service, key.domain, key.name] if key.domain else [self._service, key.name]
            slug = "-".join(_OTHER.sub("-", word.lower()).strip("-") or "x" for word in words)[:MAX_SLUG].strip("-")
            name, number = f"role:{slug}", 1
            while name in self._taken:
                number += 1
                name = f"role:{slug}-{number}"
            self._taken.add(name)
            found = self._roles[key] = name
        return found

    def subject(self, name: str) -> str | None:
        """The grant of a subject; None if rows cannot name it."""
        return self.subjects.get(name) or user_grant(name)

    def thing(self, name: str) -> str | None:
        """The resource of an object that is not a path; None if rows cannot name it."""
        resource = f"{self._service}:{name}"
        is_safe = name.isprintable() and _UNSAFE.isdisjoint(name)
        return resource if is_safe and THING.fullmatch(resource) else None


def user_grant(name: str) -> str | None:
    """The fact of a subject; None if rows cannot name it."""
    grant = f"user:{name}"
    return grant if is_grant(grant, ()) else None


def org_grant(domain: str) -> str | None:
    """The fact of a domain; None if rows cannot name it."""
    grant = ORG + domain
    return grant if is_org_fact(grant) else None


def is_verb(action: str) -> bool:
    """Whether rows can name an action on a thing."""
    return VERB.fullmatch(action) is not None
