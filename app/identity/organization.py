"""The organization that a user acts in. Every part that a token states is well-formed, or the token is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.identity.errors import Cause, Unauthenticated
from app.identity.org_facts import ORG, ORG_ROLE, is_org_name

_MAX_SLUG = 200


@dataclass(frozen=True, slots=True)
class Organization:
    """The active organization of a user, or the one that an API key belongs to.

    `role` and `slug` are empty if the token states none, and for a key. `permissions` are those that the token states
    for the organization, as they stand there.
    """

    id: str
    role: str = ""
    slug: str = ""
    permissions: tuple[str, ...] = field(default=(), compare=False)

    @property
    def facts(self) -> tuple[str, ...]:
        """The facts of a member with this role."""
        return (ORG + self.id, ORG_ROLE + self.role) if self.role else (ORG + self.id,)


def as_json(organization: Organization | None) -> dict[str, str] | None:
    """An organization as it is stored, without the permissions in it."""
    if organization is None:
        return None
    return {"id": organization.id, "role": organization.role, "slug": organization.slug}


def from_json(stored: Mapping[str, str] | None, permissions: Sequence[str] | None = None) -> Organization | None:
    """An organization that was stored. Without `permissions`, none in it are known."""
    return None if stored is None else Organization(**stored, permissions=tuple(permissions or ()))


@dataclass(frozen=True, slots=True)
class OrganizationMembership:
    """The active organization of a user, and the permissions that the user has in it."""

    organization: Organization
    permissions: Sequence[str]


def membership_of(identity: object, role: object, slug: object, permissions: Sequence[str]) -> OrganizationMembership:
    """The membership with these values of claims; None is an absent role or slug. Raises Unauthenticated."""
    role, slug = "" if role is None else role, "" if slug is None else slug
    if not isinstance(identity, str) or not isinstance(role, str) or not isinstance(slug, str):
        raise malformed()
    if not is_org_name(identity) or (role and not is_org_name(role)):
        raise malformed()
    if len(slug) > _MAX_SLUG or not slug.isprintable():
        raise malformed()
    return OrganizationMembership(Organization(identity, role, slug, tuple(permissions)), permissions)


def malformed() -> Unauthenticated:
    """The error for claims about an organization that are not in their form."""
    return Unauthenticated(Cause.MALFORMED_ORGANIZATION)
