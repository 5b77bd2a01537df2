"""The sample users of the local issuer, with their permissions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SampleUser:
    """A person who can sign in at the local issuer."""

    subject: str
    name: str
    email: str
    about: str
    permissions: tuple[str, ...] = ()


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
)
