"""The rows of a policy file: rules (`p`) and memberships (`g`)."""

from __future__ import annotations

import re
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
class Rule:
    """A `p` row. `needs` must all be held; rows are alternatives; a deny that matches beats every allow."""

    file: str
    line: int
    needs: frozenset[str]
    resource: str
    actions: tuple[str, ...]
    effect: Effect
    condition: Condition | None = None
    column: int = 1

    def __hash__(self) -> int:
        """Of the place alone, which no two rules of a policy share: an analysis hashes each rule many times."""
        return hash((self.file, self.line))

    @property
    def place(self) -> str:
        """`file:line`."""
        return place_of(self.file, self.line)

    @property
    def view(self) -> RowView:
        """The row in a JSON document."""
        return RowView(self.file, self.line, self.column, str(self))

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
        cells = ["p", " ".join(sorted(self.needs)), self.resource, "|".join(self.actions), self.effect]
        if self.condition:
            quoted = self.condition.text.replace('"', '""')
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


def action_order(action: str) -> tuple[int, str]:
    """The sort key of actions: methods in their usual order, then other actions by name."""
    return (METHODS.index(action) if action in METHODS else len(METHODS)), action
