"""Casbin's own pattern functions, called on texts that are known: names of things, actions, subjects and domains."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from casbin import util

from app.policy.casbin_import.matcher import EQUALS
from app.policy.casbin_import.path_pattern import BRACES, regex_of

_FUNCTIONS: Mapping[str, Callable[[str, str], bool]] = {
    EQUALS: lambda text, value: text == value,
    "keyMatch": util.key_match_func,
    "keyMatch2": util.key_match2_func,
    "keyMatch3": util.key_match3_func,
    "keyMatch4": util.key_match4_func,
    "keyMatch5": util.key_match5_func,
    "regexMatch": util.regex_match_func,
}


def matches(function: str, text: str, value: str) -> bool:
    """Whether Casbin's function matches; the value was checked by `pattern_error`."""
    if function in (EQUALS, "keyMatch", "keyMatch4"):
        return bool(_FUNCTIONS[function](text, value))
    if function == "keyMatch5":  # it removes a query
        text = text.partition("?")[0]
    return _compiled(function, value).match(text) is not None


@lru_cache(maxsize=65_536)
def _compiled(function: str, value: str) -> re.Pattern[str]:
    """The expression that Casbin's function would compile again for each text."""
    return re.compile(regex_of(function, value))


def function_of(name: str) -> Callable[[str, str], bool]:
    """Casbin's function of a name."""
    return _FUNCTIONS[name]


@lru_cache(maxsize=65_536)
def pattern_error(function: str, value: str) -> str | None:
    """Why pycasbin would fail at this value for every request; None if it would not."""
    if function in (EQUALS, "keyMatch"):
        return None
    try:
        groups = re.compile(regex_of(function, value)).groups
    except (re.error, OverflowError, RecursionError) as error:
        return str(error)
    if function == "keyMatch4" and groups != len(BRACES.findall(value)):
        return "it has groups of its own"
    return None
