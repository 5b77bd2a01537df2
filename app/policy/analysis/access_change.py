"""A change of access: which callers gain or lose what by a change of policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from app.policy.analysis.reroute import Reroute
from app.policy.analysis.terms import When
from app.policy.engine.expand import Key
from app.policy.language.rule import Membership, Rule

Side = Literal["old", "new"]
Kind = Literal["gain", "loss"]


@dataclass(frozen=True, slots=True)
class Combination:
    """Grants of which a caller states at least one of each group, and how conditions come out.

    `met` are those that are met, `not_unmet` those that are met or cannot be told.
    """

    holds: tuple[tuple[str, ...], ...] = ()
    met: tuple[When, ...] = ()
    not_unmet: tuple[When, ...] = ()

    def covers(self, stated: frozenset[str], outcomes: Mapping[When, bool | None]) -> bool:
        """Whether it is so for these grants and outcomes of conditions, None for one that cannot be told."""
        return (
            all(not stated.isdisjoint(group) for group in self.holds)
            and all(outcomes[when] is True for when in self.met)
            and all(outcomes[when] is not False for when in self.not_unmet)
        )


@dataclass(frozen=True, slots=True)
class ContributingRow:
    """A row that has a part in a change, and the policy that it is of."""

    side: Side
    row: Rule | Membership


@dataclass(frozen=True, slots=True)
class AccessChange:
    """Access gained or lost: by callers that `who` covers and `unless` does not.

    With `reroute` the resource is a path that another template answers now.
    """

    kind: Kind
    resource: str
    actions: tuple[str, ...]
    who: Combination
    unless: tuple[Combination, ...]
    behind: tuple[ContributingRow, ...]
    reroute: Reroute | None = None

    @property
    def may(self) -> bool:
        """Whether it depends on conditions."""
        return any(combination.met or combination.not_unmet for combination in (self.who, *self.unless))

    def covers(self, stated: frozenset[str], outcomes: Mapping[When, bool | None]) -> bool:
        """Whether it is a change for a caller that states these grants."""
        return self.who.covers(stated, outcomes) and not any(other.covers(stated, outcomes) for other in self.unless)


@dataclass(frozen=True, slots=True)
class AccessDiff:
    """All changes of access, gains first. `unknown` are the things whose rules have too many combinations."""

    changes: tuple[AccessChange, ...]
    unknown: tuple[Key, ...] = ()

    @property
    def widens(self) -> bool:
        """Whether anybody gains anything, as far as is known."""
        return bool(self.unknown) or any(change.kind == "gain" for change in self.changes)
