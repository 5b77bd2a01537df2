"""The rows that say which apps may ask for which scope: `p, app-kind:registered, scope:catalog:read, ask, allow`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from app.identity.app_facts import APP_FACTS, APP_METHOD
from app.policy.language.grants import grant_hint
from app.policy.language.rule import ASK, SCOPE_TYPE

EXAMPLE = "p, app-kind:registered, scope:catalog:read, ask, allow"


class AskFault(NamedTuple):
    """The fault of a row, the cell that it is in, and the word at fault."""

    cell: int
    message: str
    hint: str
    word: str


def is_ask_row(resource: str) -> bool:
    """Whether the resource of a row is a scope."""
    return resource.partition(":")[0] == SCOPE_TYPE


def ask_fault(
    needs: Collection[str], resource: str, actions: Sequence[str], *, has_condition: bool, catalog: Collection[str]
) -> AskFault | None:
    """The fault of a row about a scope; None if it is valid.

    Which scopes an app has is decided from facts of the app alone: before there is a user, and once for all requests.
    """
    scope = resource.partition(":")[2]
    if scope not in catalog:
        message = f"`{scope}` is an unknown permission" if scope else "the row does not name a scope"
        return AskFault(2, message, grant_hint(scope, catalog) if scope else f"write `{EXAMPLE}`", scope or resource)
    if tuple(actions) != (ASK,):
        return AskFault(3, f"the only action on a scope is `{ASK}`", f"write `{EXAMPLE}`", "")
    for grant in sorted(needs):
        if grant != APP_METHOD and not grant.startswith(APP_FACTS):
            hint = f"name an app, a kind of app or a host of apps, or `{APP_METHOD}` for all: `{EXAMPLE}`"
            return AskFault(
                1, f"`{grant}` is not a fact of an app, so it cannot decide what apps may ask for", hint, grant
            )
    if has_condition:
        return AskFault(
            5, "a row about a scope cannot have a condition", "put the condition on the rows of the routes", ""
        )
    return None
