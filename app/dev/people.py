"""The sample users of the local issuer, with their permissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class SampleMembership:
    """An organization that a person is signed in to, with their role and permissions in it."""

    id: str
    slug: str
    role: str
    permissions: tuple[str, ...]

    @property
    def claims(self) -> Mapping[str, object]:
        """The claims of a session token of Clerk, version 1."""
        return {
            "org_id": self.id,
            "org_slug": self.slug,
            "org_role": f"org:{self.role}",
            "org_permissions": [f"org:{permission}" for permission in self.permissions],
        }


@dataclass(frozen=True, slots=True)
class SampleUser:
    """A person who can sign in at the local issuer."""

    subject: str
    name: str
    email: str
    about: str
    permissions: tuple[str, ...] = ()
    membership: SampleMembership | None = None

    @property
    def claims(self) -> Mapping[str, object]:
        """The claims about the organization of the person."""
        return self.membership.claims if self.membership else {}


PEOPLE = (
    SampleUser(
        "user_alice",
        "Alice Adams",
        "alice@griddy.example",
        "A developer. She issues keys for what she may do herself.",
        ("catalog:read", "catalog:write"),
    ),
    SampleUser(
        "user_bob", "Bob Brown", "bob@griddy.example", "A viewer. He looks and changes nothing.", ("catalog:read",)
    ),
    SampleUser(
        "user_carol",
        "Carol Clark",
        "carol@griddy.example",
        "Security. She looks after the policy, both logs, everybody's keys and the apps of third parties.",
        (
            "policies:read",
            "policies:write",
            "decisions:read",
            "audit:read",
            "keys:read",
            "keys:write",
            "apps:read",
            "apps:write",
        ),
    ),
    SampleUser(
        "user_erin",
        "Erin Evans",
        "erin@griddy.example",
        "A curator. She looks after the footage and its tags.",
        ("catalog:read", "holdings:read", "holdings:write"),
    ),
    SampleUser("user_dan", "Dan Davis", "dan@griddy.example", "New here. Nothing was granted to him yet."),
    SampleUser(
        "user_fay",
        "Fay Foster",
        "fay@griddy.example",
        "An administrator of the organization acme. She issues keys that belong to it.",
        membership=SampleMembership(
            "org_acme", "acme", "admin", ("catalog:read", "catalog:write", "holdings:read", "org-keys:write")
        ),
    ),
)


def people_of(viewer: Sequence[str], editor: Sequence[str]) -> tuple[SampleUser, ...]:
    """The users for a service without the sample API, with the permissions of its viewers and editors."""
    alice, bob, carol, _, dan, fay = PEOPLE
    organization = SampleMembership("org_acme", "acme", "admin", (*editor, "org-keys:write"))
    return (
        replace(alice, permissions=tuple(editor)),
        replace(bob, permissions=tuple(viewer)),
        carol,
        dan,
        replace(fay, membership=organization),
    )
