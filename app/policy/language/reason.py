"""The reasons of decisions, as explanations print them and cases expect them."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why something was allowed or denied."""

    ALLOWED = "a rule allows it"
    DENIED = "a rule denies it"
    NOT_HELD = "missing grants"
    NOT_MET = "the condition of every rule that would allow it is not met"
    CONDITION_ERROR = "a condition could not be evaluated"
    UNRULED = "no rule covers it"
    USER_SIDE = "the user of the app may not do it"
    NO_ROUTE = "no route matches it"
    NO_SERVICE = "the policy has no service of this name"
    CLOSED = "its OpenAPI document is ambiguous about it"
