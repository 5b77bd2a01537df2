"""Decides about an app on behalf of a user: both sides must be allowed, and a deny that applies to either denies.

The app side holds the facts of the app and the scopes that the user consented to and that the app may ask for under
this policy. The user side holds the facts of the app, the user, and the permissions of the user's last sign-in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from app.identity.app_facts import APP_FACTS, APP_METHOD
from app.identity.principal import ANYONE, CONSENTED, ON_BEHALF
from app.policy.engine.decision import Decision
from app.policy.engine.verdict import Conditions, held_rules, verdict
from app.policy.language.reason import Reason
from app.policy.language.roles import Roles, close
from app.policy.language.rule import Rule
from app.policy.language.when.condition import Context

_DELEGATED = (APP_METHOD, *APP_FACTS, CONSENTED, ON_BEHALF)
_NOT_OF_USER = ("auth:", "env:", "key:", *APP_FACTS)
# In the class of each delegated caller, and of no other.
_CLASS_MARK = ON_BEHALF + ANYONE
_FINAL = (Reason.DENIED, Reason.CONDITION_ERROR)
MayAsk = Callable[[frozenset[str], str], bool]  # whether an app with these grants may ask for a scope


class Sides(NamedTuple):
    """The grants of an app and of its user."""

    app: frozenset[str]
    user: frozenset[str]


def is_delegated(held: Iterable[str]) -> bool:
    """Whether these are the grants of an app on behalf of a user."""
    return any(grant.startswith(_DELEGATED) for grant in held)


def facts_of(held: Iterable[str]) -> frozenset[str]:
    """The facts that both sides hold."""
    return frozenset([ANYONE, APP_METHOD, *(grant for grant in held if grant.startswith(APP_FACTS))])


def consented_scopes(held: Iterable[str], may_ask: MayAsk) -> frozenset[str]:
    """The scopes that the user consented to and that the app may ask for."""
    facts = facts_of(held)
    scopes = (grant.removeprefix(CONSENTED) for grant in held if grant.startswith(CONSENTED))
    return frozenset(scope for scope in scopes if may_ask(facts, scope))


def stated_sides(held: frozenset[str], may_ask: MayAsk) -> Sides:
    """The stated grants of an app and of its user. A grant that belongs to neither is ignored."""
    facts = facts_of(held)
    user = (grant.removeprefix(ON_BEHALF) for grant in held if grant.startswith(ON_BEHALF))
    return Sides(facts | consented_scopes(held, may_ask), facts.union(filter(_is_of_user, user)))


def sides_of(held: frozenset[str], roles: Roles, may_ask: MayAsk) -> Sides:
    """The two sides of a delegated caller."""
    app, user = stated_sides(held, may_ask)
    return Sides(close(app, roles), close(user, roles))


def class_of(sides: Sides) -> frozenset[str]:
    """One set of grants that stands for both sides."""
    app = (CONSENTED + grant for grant in sides.app)
    return frozenset((_CLASS_MARK, *app, *(ON_BEHALF + grant for grant in sides.user)))


def sides_of_class(grants: frozenset[str]) -> Sides | None:
    """The two sides that a class stands for; None for the class of another caller."""
    if _CLASS_MARK not in grants:
        return None
    app = frozenset(grant.removeprefix(CONSENTED) for grant in grants if grant.startswith(CONSENTED))
    return Sides(app, frozenset(grant.removeprefix(ON_BEHALF) for grant in grants if grant.startswith(ON_BEHALF)))


def decide_both(
    rules: tuple[Rule, ...], sides: Sides, conditions: tuple[Conditions, Conditions], revision: str, may_ask: MayAsk
) -> tuple[Decision, bool]:
    """The decision about both sides, and whether it depends on a condition.

    A deny of the app comes first, then any refusal of the user, whom no further consent would help.
    """
    found = [held_rules(rules, side) for side in sides]
    app, user = (
        verdict(rules, held, side, met, revision) for held, side, met in zip(found, sides, conditions, strict=True)
    )
    is_conditional = any(rule.condition for held in found for rule in held)
    if not app and app.reason in _FINAL:
        return replace(app, side="app", requestable=False), is_conditional
    if not user:
        return replace(user, reason=Reason.USER_SIDE, side="user", requestable=False), is_conditional
    if not app:
        requestable = bool(app.missing) and all(may_ask(sides.app, scope) for scope in app.missing)
        return replace(app, side="app", requestable=requestable), is_conditional
    return replace(app, errors=tuple(dict.fromkeys((*app.errors, *user.errors)))), is_conditional


class SideContext(dict[str, object]):
    """The condition variables of one side: those of the request, with the grants of the side."""

    def __init__(self, context: Context, permissions: frozenset[str]) -> None:
        super().__init__()
        self._context = context
        self._permissions = permissions

    def __missing__(self, name: str) -> object:
        value = self._context[name]
        if name == "subject" and isinstance(value, Mapping):
            value = {**value, "permissions": self._permissions}
        self[name] = value
        return value


def _is_of_user(grant: str) -> bool:
    """Whether the user side can hold a grant: it has no fact of another kind of caller."""
    return not grant.startswith(_NOT_OF_USER)
