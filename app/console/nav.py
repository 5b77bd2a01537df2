"""The navigation. The policy decides which of its pages a user sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.identity.principal import Principal
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.suspended import Suspended
from app.policy.language.when.condition import NO_CONTEXT, Context


@dataclass(frozen=True, slots=True)
class Item:
    """A page in the navigation."""

    label: str
    path: str


@dataclass(frozen=True, slots=True)
class Group:
    """Pages for one role."""

    label: str
    items: tuple[Item, ...]


NAVIGATION = (
    Group(
        "Developer",
        (
            Item("My keys", "/console/keys"),
            Item("Organization keys", "/console/org-keys"),
            Item("Apps I allowed", "/console/apps"),
        ),
    ),
    Group(
        "Security",
        (
            Item("Policy", "/console/policy"),
            Item("Matrix", "/console/policy/matrix"),
            Item("Simulator", "/console/policy/simulator"),
            Item("Edit", "/console/policy/edit"),
            Item("History", "/console/policy/history"),
            Item("Replicas", "/console/replicas"),
            Item("Decisions", "/console/decisions"),
            Item("All keys", "/console/all-keys"),
            Item("Registered apps", "/console/registered-apps"),
            Item("Admin log", "/console/admin-actions"),
        ),
    ),
)


def section_of(groups: Iterable[Group], path: str) -> str:
    """The item that a page belongs to: itself or the nearest one above it; empty if there is none."""
    items = [item.path for group in groups for item in group.items]
    return max((item for item in items if path == item or path.startswith(f"{item}/")), key=len, default="")


def open_to(
    principal: Principal, snapshot: Snapshot, context: Callable[[str], Context] = lambda _: NO_CONTEXT
) -> list[Group]:
    """The groups with the pages that the policy opens to a principal; none while the policy is suspended.

    `context` makes the variables of conditions about a page.
    """
    if isinstance(snapshot, Suspended):  # in the middle of a request: the page must still say so
        return []
    groups = [
        Group(
            group.label,
            tuple(
                item for item in group.items if snapshot.decide(principal.held, item.path, "GET", context(item.path))
            ),
        )
        for group in NAVIGATION
    ]
    return [group for group in groups if group.items]
