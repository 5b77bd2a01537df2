"""Who can publish a policy. Such a caller is root: it can give itself every other permission."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from app.identity.principal import ANYONE
from app.policy.analysis.access_change import AccessChange, AccessDiff
from app.policy.analysis.change_words import describe
from app.policy.analysis.reach import Reach, outcome
from app.policy.engine.lockout import PUBLISH
from app.policy.engine.snapshot import Snapshot

MAX_LISTED = 3
_CALLERS = (frozenset({ANYONE, "auth:jwt"}), frozenset({ANYONE, "auth:api_key"}))


@dataclass(frozen=True, slots=True)
class FewerPublishers:
    """Callers that can publish under the active policy and could not under the new one.

    `lost` is empty if the rows have too many combinations to compare. `unproven` are the `user:` and `key:` facts
    through which alone the new policy could be replaced, none of them known to exist; None if there are other ways,
    and empty if there is no way.
    """

    lost: tuple[AccessChange, ...]
    unproven: tuple[str, ...] | None

    @property
    def is_lockout(self) -> bool:
        """Whether no known caller could publish; only this requires an acknowledgement."""
        return self.unproven is not None

    @property
    def summary(self) -> str:
        """The loss or lock-out in words, without a full stop."""
        if self.unproven is None:
            lost = f"{_some([describe(change) for change in self.lost], '; ')}"
            return f"fewer callers could publish a policy: {lost or 'too many rows to list them'}"
        if not self.unproven:
            return "no caller could publish a policy"
        return (
            f"no known caller could publish a policy: only {_some(self.unproven, ', ')}, never seen in the decision log"
        )


def lost_publishers(difference: AccessDiff) -> tuple[AccessChange, ...] | None:
    """The changes by which callers can no longer publish; None if there is no loss, empty if unknown."""
    lost = tuple(
        change
        for change in difference.changes
        if change.kind == "loss"
        and not change.apps
        and change.resource == PUBLISH.template
        and PUBLISH.method in change.actions
    )
    return lost if lost or (PUBLISH.template, PUBLISH.method) in difference.unknown else None


def unproven_facts(ways: Collection[frozenset[str]], seen: Collection[str]) -> tuple[str, ...] | None:
    """The facts of `named_publishers` if none of the callers has been seen; None if one has."""
    if any(way.issubset(seen) for way in ways):
        return None
    return tuple(sorted(frozenset[str]().union(*ways) - frozenset(seen)))


def root_permissions(snapshot: Snapshot, permissions: Iterable[str]) -> frozenset[str]:
    """The permissions each of which alone suffices to publish a policy."""
    rules = snapshot.rules_for(PUBLISH.template, PUBLISH.method)
    return frozenset(
        name
        for name in permissions
        if any(outcome(rules, snapshot.effective({name, *caller}))[0] is not Reach.NO for caller in _CALLERS)
    )


def _some(items: Collection[str], separator: str) -> str:
    shown = list(items)[:MAX_LISTED]
    return separator.join(shown) + (f" and {len(items) - len(shown):,} more" if len(items) > len(shown) else "")
