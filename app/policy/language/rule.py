"""The rows of a policy file: rules (`p`) and memberships (`g`)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from app.policy.language.row_view import RowView, place_of
from app.policy.language.when.condition import Condition
from app.policy.routing.routes import METHODS, is_route

Effect = Literal["allow", "deny"]
# Needs, resource, actions, effect and condition: rows with equal content are duplicates.
RuleContent = tuple[frozenset[str], str, frozenset[str], str, str]

# A thing is `type` or `type:id`, without a path after the colon; an action on it is a word.
THING = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*(:(?!/)[^\s*{}\"|]+)?")
# What apps may ask for: `p, app-kind:registered, scope:catalog:read, ask, allow`.
SCOPE_TYPE, ASK = "scope", "ask"
VERB = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]*")


@dataclass(frozen=True, slots=True)
class RuleTerms:
    """All that a `p` row states apart from its resource and line. Most rows of a large file share one such object."""

    file: str
    needs: frozenset[str]
    actions: tuple[str, ...]
    effect: Effect
    condition: Condition | None = None
    column: int = 1


@dataclass(frozen=True, slots=True)
class Rule:
    """A `p` row. `needs` must all be held; rows are alternatives; a deny that matches beats every allow.

    A policy may have very many, and during a reload twice as many, so a rule is as small as it can be.
    """

    terms: RuleTerms
    resource: str
    line: int

    def __hash__(self) -> int:
        """Of the place alone, which no two rules of a policy share: an analysis hashes each rule many times."""
        return hash((self.terms.file, self.line))

    @property
    def file(self) -> str:
        """The file of the row."""
        return self.terms.file

    @property
    def needs(self) -> frozenset[str]:
        """The grants that must all be held."""
        return self.terms.needs

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions on the resource."""
        return self.terms.actions

    @property
    def effect(self) -> Effect:
        """Whether the row allows or denies."""
        return self.terms.effect

    @property
    def condition(self) -> Condition | None:
        """What must also hold; None if the row has no condition."""
        return self.terms.condition

    @property
    def column(self) -> int:
        """Where the row starts in its line."""
        return self.terms.column

    @property
    def place(self) -> str:
        """`file:line`."""
        return place_of(self.file, self.line)

    @property
    def view(self) -> RowView:
        """The row in a JSON document."""
        return RowView(self.terms.file, self.line, self.terms.column, str(self))

    @property
    def is_route(self) -> bool:
        """Whether the resource is a pattern over routes, and not a type of thing."""
        return is_route(self.resource)

    @property
    def content(self) -> RuleContent:
        """The content of the row, independent of its formatting."""
        condition = self.condition.text if self.condition else ""
        return self.needs, self.resource, frozenset(self.actions), self.effect, condition

    def __str__(self) -> str:
        terms = self.terms
        cells = ["p", " ".join(sorted(terms.needs)), self.resource, "|".join(terms.actions), terms.effect]
        if terms.condition:
            quoted = terms.condition.text.replace('"', '""')
            cells.append(f'"{quoted}"')
        return ", ".join(cells)


@dataclass(frozen=True, slots=True)
class Membership:
    """A `g` row: every holder of `member` also holds `grant`."""

    file: str
    line: int
    member: str
    grant: str
    column: int | None = 1

    @property
    def place(self) -> str:
        """`file:line`."""
        return place_of(self.file, self.line)

    @property
    def view(self) -> RowView:
        """The row in a JSON document."""
        return RowView(self.file, self.line, self.column, str(self))

    def __str__(self) -> str:
        return f"g, {self.member}, {self.grant}"


def distinct_terms(rules: Iterable[Rule]) -> Collection[RuleTerms]:
    """The terms of rules, each object once: of a large policy there are far fewer than rules."""
    return {id(rule.terms): rule.terms for rule in rules}.values()


def action_order(action: str) -> tuple[int, str]:
    """The sort key of actions: methods in their usual order, then other actions by name."""
    return (METHODS.index(action) if action in METHODS else len(METHODS)), action
