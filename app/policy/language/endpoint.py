"""Validates endpoints as people write them: an action on a concrete path, `service:/path`, or a thing, `type:id`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.policy.language.fault import did_you_mean
from app.policy.language.rule import THING, VERB
from app.policy.routing.routes import METHODS, SERVICE, is_route

# Percent-encodings, except of characters that need none and of `/`, `\\`, `%`, `;`, `?` and `#`.
_ENCODED = r"%(?!2[35DEF]|3[0-9BF]|[46][1-9A-F]|[57][0-9A]|5[CF]|7[EF])[2-9A-F][0-9A-F]"
_SEGMENT = rf"(?:[A-Za-z0-9._~!$&'()*+,=:@{{}}-]|{_ENCODED})+"
_PATH = re.compile(rf"(?:{SERVICE.pattern}:)?/(?:(?!\.{{1,2}}(?:/|\Z)){_SEGMENT}(?:/|\Z))*")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An action on a route template or a thing."""

    action: str
    resource: str


def endpoint_fault(action: str, resource: str) -> tuple[str, str, str] | None:
    """The fault of an action or resource, as message, hint and word; None if both are valid."""
    of_route = is_route(resource)
    if not (_PATH if of_route else THING).fullmatch(resource):
        hint = "write a path such as `/api/v1/teams/7`, without query, `service:/path` or `type:id`"
        return f"`{resource}` is neither a plain path nor a thing", hint, resource
    if of_route and action not in METHODS:
        hint = did_you_mean(action, METHODS) or f"the methods are {', '.join(METHODS)}"
        return f"`{action}` is not a method of a route", hint, action
    if not VERB.fullmatch(action):
        return f"`{action}` is not an action", "an action is a word, such as `read`", action
    return None
