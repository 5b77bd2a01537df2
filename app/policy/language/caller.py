"""Callers as people write them: grants, or those of an app, the word `for`, and those of its user.

    auth:jwt catalog:read
    app-kind:registered catalog:read for user:user_2abc catalog:read

Before `for`, a permission is a scope that the user consented to.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.identity.app_facts import APP_FACTS, APP_METHOD
from app.identity.org_facts import ORG_FACTS
from app.identity.principal import ANYONE, CONSENTED, ON_BEHALF

FOR = "for"
EXAMPLE = "app-kind:registered catalog:read for user:user_2abc catalog:read"
_OF_APP = (APP_METHOD, *APP_FACTS)
_OF_USER = ("user:", "role:", *ORG_FACTS)
_NOT_OF_APP = ("auth:", "env:", "key:", *_OF_USER)
_NOT_OF_USER = ("auth:", "env:", "key:", *APP_FACTS)


def read_caller(words: Iterable[str]) -> frozenset[str]:
    """The grants that a caller states: those of an app have both sides, each with its mark."""
    app, user = _split(words)
    if user is None and not any(map(_is_app, app)):
        return frozenset(app)
    held = {APP_METHOD, *(word for word in app if word == ANYONE or _is_app(word))}
    held.update(CONSENTED + word for word in app if word != ANYONE and not _is_app(word))
    held.update(ON_BEHALF + word for word in user or () if word != ANYONE)
    return frozenset(held)


def caller_fault(words: Iterable[str]) -> tuple[str, str, str] | None:
    """The fault of a caller whose grants are known, as message, hint and word; None if it is valid."""
    words = list(words)
    app, user = _split(words)
    if user is None and not any(map(_is_app, app)):
        return None
    if words.count(FOR) > 1:
        return "`for` is repeated", f"write `{EXAMPLE}`", FOR
    if user is not None and not user:
        return "no grant of the user follows `for`", f"write `{EXAMPLE}`", FOR
    for word in app:
        if not _is_app(word) and word.startswith(_NOT_OF_APP):
            hint = f"write `{FOR} {word}` after the grants of the app" if word.startswith(_OF_USER) else ""
            return f"an app cannot hold `{word}`", hint or f"write `{EXAMPLE}`", word
    for word in user or ():
        if word.startswith(_NOT_OF_USER):
            return f"the user of an app cannot hold `{word}`", f"write it before `{FOR}`, or delete it", word
    return None


def caller_words(held: Iterable[str]) -> list[str]:
    """The words for the grants of a caller, sorted; those that `read_caller` reads back."""
    held = sorted(held)
    user = [grant.removeprefix(ON_BEHALF) for grant in held if grant.startswith(ON_BEHALF)]
    app = [grant for grant in held if not grant.startswith((ON_BEHALF, CONSENTED))]
    app += [grant.removeprefix(CONSENTED) for grant in held if grant.startswith(CONSENTED)]
    return [*app, FOR, *user] if user else app


def grants_in(words: Iterable[str]) -> list[str]:
    """The words that are grants."""
    return [word for word in words if word != FOR]


def _split(words: Iterable[str]) -> tuple[list[str], list[str] | None]:
    app: list[str] = []
    user: list[str] | None = None
    for word in words:
        if word == FOR:
            user = [] if user is None else user
        else:
            (app if user is None else user).append(word)
    return app, user


def _is_app(word: str) -> bool:
    return word.startswith(_OF_APP)
