"""An explanation: a decision with its reasons."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from app.policy.analysis.near_rows import NearRow
from app.policy.engine.decision import Decision
from app.policy.engine.target import Target
from app.policy.language.rule import Membership, Rule

MAX_NEAR = 3  # rows that are shown
# The token of a client that the operator does not name as their own is one of an app.
OWN_CLIENT = "If this client is your own, name it in AUTHZ_OWN_CLIENTS, or in `own_clients` of issuers.toml."


class Remedy(StrEnum):
    """Whether more grants would open what is denied, and if not, why."""

    OPEN = "it is allowed"
    GRANT = "these grants would open it"
    DENIED = "nothing opens it: a row denies it"
    DENIED_THEN = "nothing opens it: a caller with the grants of a row that allows it is denied by another row"
    CONDITION = "no grant opens it: a condition is not met"
    FACTS = "nothing opens it for this caller: every row that allows it needs a fact that the caller cannot have"
    NO_ALLOW = "nothing opens it: no row allows it to anyone"
    USER = "no consent opens it: the user of the app may not do it"
    NOT_ASKABLE = "no consent opens it: no row lets the app ask for the missing scope"


@dataclass(frozen=True, slots=True)
class SideExplanation:
    """The decision about one side of an app on behalf of a user, with its reasons as in Explanation."""

    side: Literal["app", "user"]
    decision: Decision
    effective: frozenset[str]
    added_by: tuple[Membership, ...]
    denies: tuple[Rule, ...]
    near: tuple[NearRow, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with its reasons.

    `held` are the grants in force, including `anyone`; `effective` also has what roles add. `added_by` are the `g`
    rows that add the deciding row's grants. `denies` are all rows that deny it, `near` the nearest rows that would
    allow it, and `opens_with` the fewest grants that would open it, if any would. For an app on behalf of a user,
    `effective` are the grants that both hold, `sides` explains each, and `asks` are the rows that let the app ask for
    its scopes.
    """

    decision: Decision
    target: Target
    held: frozenset[str]
    effective: frozenset[str]
    remedy: Remedy
    opens_with: tuple[str, ...] = ()
    added_by: tuple[Membership, ...] = ()
    denies: tuple[Rule, ...] = ()
    near: tuple[NearRow, ...] = ()
    sides: tuple[SideExplanation, ...] = ()
    asks: tuple[Rule, ...] = ()
