"""Changes of access: which callers gain or lose what when a policy changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from app.identity.app_facts import APP_METHOD
from app.identity.issuer import TrustedIssuer
from app.policy.analysis.callers import AppPattern
from app.policy.analysis.reroute import Reroute
from app.policy.analysis.terms import When
from app.policy.engine.rule_index import Key
from app.policy.language.rule import Membership, Rule

Side = Literal["old", "new"]
Kind = Literal["gain", "loss"]


@dataclass(frozen=True, slots=True)
class Combination:
    """A set of callers: they state at least one grant of each group in `holds`, and conditions have these outcomes.

    Conditions in `met` are met; those in `not_unmet` are met or unknown.
    """

    holds: tuple[tuple[str, ...], ...] = ()
    met: tuple[When, ...] = ()
    not_unmet: tuple[When, ...] = ()

    def covers(self, stated: frozenset[str], outcomes: Mapping[When, bool | None]) -> bool:
        """Whether a caller with these grants is in the set. The outcome of an unknown condition is None."""
        return (
            all(not stated.isdisjoint(group) for group in self.holds)
            and all(outcomes[when] is True for when in self.met)
            and all(outcomes[when] is not False for when in self.not_unmet)
        )


@dataclass(frozen=True, slots=True)
class ContributingRow:
    """A row that contributes to a change, and the policy that it belongs to."""

    side: Side
    row: Rule | Membership


@dataclass(frozen=True, slots=True)
class AccessChange:
    """Access gained or lost by callers that `who` covers and `unless` does not.

    With `apps`, the callers are these apps on behalf of users, and the grants in `who` and `unless` have the marks of
    what is consented and what the user holds; without, the callers are no apps.

    With `reroute`, the resource is a path that now matches another template.
    """

    kind: Kind
    resource: str
    actions: tuple[str, ...]
    who: Combination
    unless: tuple[Combination, ...]
    rows: tuple[ContributingRow, ...]
    reroute: Reroute | None = None
    apps: tuple[AppPattern, ...] = ()

    @property
    def may(self) -> bool:
        """Whether it depends on conditions."""
        return any(combination.met or combination.not_unmet for combination in (self.who, *self.unless))

    def covers(self, stated: frozenset[str], outcomes: Mapping[When, bool | None]) -> bool:
        """Whether the change affects a caller that states these grants."""
        is_kind = any(app.holds <= stated and app.lacks.isdisjoint(stated) for app in self.apps)
        return (
            is_kind is (APP_METHOD in stated)
            and self.who.covers(stated, outcomes)
            and not any(other.covers(stated, outcomes) for other in self.unless)
        )


@dataclass(frozen=True, slots=True)
class IssuerChange:
    """An issuer that is trusted, no longer trusted, or trusted in another way. Its users may be any callers."""

    kind: Kind
    issuer: TrustedIssuer
    is_altered: bool = False

    def __str__(self) -> str:
        named = f"the issuer {self.issuer.name} ({self.issuer.issuer})"
        if self.is_altered:
            return f"{named} is trusted in another way: its users may gain access"
        if self.kind == "gain":
            return f"{named} is trusted: its users may gain access"
        return f"{named} is no longer trusted: its users lose access"


@dataclass(frozen=True, slots=True)
class AccessDiff:
    """All changes of access, gains first. `unknown` are endpoints whose rules have too many combinations to compare."""

    changes: tuple[AccessChange, ...]
    unknown: tuple[Key, ...] = ()
    issuers: tuple[IssuerChange, ...] = ()

    @property
    def widens(self) -> bool:
        """Whether a caller gains access; true as well if that is unknown."""
        return bool(self.unknown) or "gain" in self.kinds

    @property
    def kinds(self) -> list[Kind]:
        """Whether each change is a gain or a loss."""
        return [*(change.kind for change in self.changes), *(change.kind for change in self.issuers)]

    @property
    def is_empty(self) -> bool:
        """Whether both policies decide alike, and trust the same issuers."""
        return not (self.changes or self.unknown or self.issuers)


def issuer_changes(old: Iterable[TrustedIssuer], new: Iterable[TrustedIssuer]) -> tuple[IssuerChange, ...]:
    """The differences between the issuers of two policies, gains first."""
    before = {issuer.issuer: issuer for issuer in old}
    after = {issuer.issuer: issuer for issuer in new}
    gains = [
        IssuerChange("gain", issuer, is_altered=name in before)
        for name, issuer in after.items()
        if before.get(name) != issuer
    ]
    return (*gains, *(IssuerChange("loss", issuer) for name, issuer in before.items() if name not in after))
