"""Who can publish a policy. A caller that can may give itself every other permission, so it is root."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from app.identity.principal import ANYONE
from app.policy.analysis.access_change import AccessChange, AccessDiff
from app.policy.analysis.change_words import told
from app.policy.analysis.reach import Reach, outcome
from app.policy.engine.lockout import PUBLISH
from app.policy.engine.snapshot import Snapshot

MAX_TOLD = 3
_CALLERS = (frozenset({ANYONE, "auth:jwt"}), frozenset({ANYONE, "auth:api_key"}))


@dataclass(frozen=True, slots=True)
class FewerPublishers:
    """Callers that can publish under the active policy, and could not under its successor.

    `lost` says which; it is empty when the rows have too many combinations to tell. `unproven` are the `user:` and
    `key:` facts by which alone the successor could be replaced, none of which is known to exist; None when there are
    other ways, and empty when there is no way at all.
    """

    lost: tuple[AccessChange, ...]
    unproven: tuple[str, ...] | None

    @property
    def is_lockout(self) -> bool:
        """Whether no caller that was ever seen could publish: only this needs an acknowledgement."""
        return self.unproven is not None

    @property
    def summary(self) -> str:
        """What would be lost and, for a lock-out, that it is one; for a sentence that ends with a full stop."""
        if self.unproven is None:
            lost = f"{_some([told(change) for change in self.lost], '; ')}"
            return f"fewer callers could publish a policy: {lost or 'too many rows to tell which'}"
        if not self.unproven:
            return "no caller could publish a policy any more"
        return (
            "no caller that was ever seen here could publish a policy any more: only "
            f"{_some(self.unproven, ', ')}, which the decision log does not know"
        )


def lost_publishers(difference: AccessDiff) -> tuple[AccessChange, ...] | None:
    """The changes by which callers can no longer publish; None when there is none, empty when it cannot be told."""
    lost = tuple(
        change
        for change in difference.changes
        if change.kind == "loss" and change.resource == PUBLISH.template and PUBLISH.method in change.actions
    )
    return lost if lost or (PUBLISH.template, PUBLISH.method) in difference.unknown else None


def unproven(ways: Collection[frozenset[str]], seen: Collection[str]) -> tuple[str, ...] | None:
    """The facts by which alone callers could publish, as `named_publishers` has them; None when one has been seen."""
    if any(way.issubset(seen) for way in ways):
        return None
    return tuple(sorted(frozenset[str]().union(*ways) - frozenset(seen)))


def root_permissions(snapshot: Snapshot, permissions: Iterable[str]) -> frozenset[str]:
    """The permissions that are each enough to publish a policy."""
    rules = snapshot.rules_for(PUBLISH.template, PUBLISH.method)
    return frozenset(
        name
        for name in permissions
        if any(outcome(rules, snapshot.effective({name, *caller}))[0] is not Reach.NO for caller in _CALLERS)
    )


def _some(items: Collection[str], separator: str) -> str:
    shown = list(items)[:MAX_TOLD]
    return separator.join(shown) + (f" and {len(items) - len(shown):,} more" if len(items) > len(shown) else "")
