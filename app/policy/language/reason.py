"""The reasons of decisions, as explanations print them and test cases expect them."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a decision is what it is."""

    ALLOWED = "a rule allows it"
    DENIED = "a rule denies it"
    NOT_HELD = "no rule that would allow it has all its grants"
    NOT_MET = "the condition of every rule that would allow it is not met"
    CONDITION_ERROR = "a condition could not be evaluated"
    UNRULED = "no rule covers it"
    NO_ROUTE = "no route matches it"
    NO_SERVICE = "the policy knows no service of this name"
    CLOSED = "its document does not tell which route it belongs to"
