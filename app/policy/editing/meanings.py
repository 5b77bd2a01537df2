"""What facts, methods and functions mean, in a line each."""

from __future__ import annotations

from collections.abc import Mapping

from app.identity.app_facts import APP, APP_HOST, APP_KIND, APP_KINDS, APP_METHOD
from app.identity.org_facts import ORG, ORG_ROLE
from app.identity.principal import ANYONE
from app.policy.language.when.functions import FUNCTIONS, MACROS, METHODS

_FACTS: Mapping[str, str] = {
    ANYONE: "every caller, signed in or not",
    "auth:jwt": "a user with a JWT",
    "auth:api_key": "a program with a key",
    APP_METHOD: "a third-party app on behalf of a user",
    "auth:anonymous": "a caller without credentials",
    "env:live": "a key of the environment `live`",
    "env:test": "a key of the environment `test`",
    **{APP_KIND + kind: f"an app of the kind `{kind}`, and its user" for kind in APP_KINDS},
}
_FAMILIES: Mapping[str, str] = {
    "user:": "this user",
    "key:": "the key with this id",
    "role:": "every member that a `g` row gives it to",
    APP: "this app, and its user",
    APP_KIND: "an app of this kind, and its user",
    APP_HOST: "an app on this host, and its user",
    ORG_ROLE: "a user with this role in the organization, and their apps",
    ORG: "a user who acts in this organization, their apps, and a key of it",
}
# Functions of conditions with their arguments and what they return.
FUNCTION_MEANINGS: Mapping[str, str] = {
    "has": "has(subject.claims.email): whether a field is present",
    "ip_in": "ip_in(request.ip, '10.0.0.0/8'): whether an address is in a network",
    **{
        name: f"{name}({' or '.join(map(str, dict.fromkeys(takes)))}) → {gives}"
        for name, (takes, gives) in FUNCTIONS.items()
    },
}
METHOD_MEANINGS: Mapping[str, str] = {
    name: f"{of}.{name}({', '.join(map(str, takes))}) → {gives}" for name, (of, takes, gives) in METHODS.items()
}
MACRO_MEANINGS: Mapping[str, str] = {
    name: f"{name}(x, x == 'a'): whether this holds for {what}"
    for name, what in zip(MACROS, ("all items", "any item", "exactly one item"), strict=True)
}


def fact_meaning(grant: str) -> str:
    """Who holds a fact; empty for a permission."""
    if grant in _FACTS:
        return _FACTS[grant]
    return next((meaning for family, meaning in _FAMILIES.items() if grant.startswith(family)), "")
