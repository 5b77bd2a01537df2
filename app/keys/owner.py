"""The owner of API keys: a user, or the organization that a user acts in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.identity.org_facts import ORG_FACTS, owner_of_keys
from app.identity.organization import Organization
from app.identity.principal import ANYONE, Principal, is_fact
from app.keys.refusals import NotInOrganization
from app.policy.engine.limited_scopes import membership_grants, token_grants
from app.policy.language.roles import Roles


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """An owner of keys, as the person who manages them at the moment.

    `subject` is the `sub` of a user, or `org:<id>`. A key can have what is `held`: of an organization what its member
    has in it, and nothing that the person has besides. `person` is the `sub` of the person.
    """

    subject: str
    held: frozenset[str]
    person: str
    organization: Organization | None = None

    def membership_grants(self, scopes: Iterable[str], roles: Roles) -> frozenset[str] | None:
        """What limits the scopes of a new key of an organization; None for the key of a user."""
        return None if self.organization is None else membership_grants(self.organization, scopes, roles)

    def token_grants(self, scopes: Iterable[str], roles: Roles) -> frozenset[str]:
        """What limits the scopes of a new key of a user; empty for the key of an organization."""
        return frozenset() if self.organization is not None else token_grants(self.held, scopes, roles)


def personal(user: Principal) -> KeyOwner:
    """The user as an owner, without what rows give the user's organization: no such scope would be in force."""
    held = frozenset(grant for grant in user.held if not grant.startswith(ORG_FACTS))
    return KeyOwner(user.subject, held, user.subject)


def organization_of(user: Principal, organization: str) -> KeyOwner:
    """The organization with this id as an owner. Raises NotInOrganization unless the user acts in it."""
    active = user.organization
    if active is None or active.id != organization or user.method != "jwt":
        raise NotInOrganization
    stated = (grant for grant in active.permissions if not is_fact(grant))
    held = frozenset((ANYONE, "auth:jwt", *active.facts, *stated))
    return KeyOwner(owner_of_keys(organization), held, user.subject, active)
