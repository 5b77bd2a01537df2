"""Condition variables that a question gives in place of a request, checked against the schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime

from app.policy.language.fault import did_you_mean
from app.policy.language.when.shape import SCHEMA, Field, Kind

# Variable → field, parameter or key → value.
Given = Mapping[str, Mapping[str, object]]

_TYPES: Mapping[str, tuple[type, ...]] = {"string": (str,), "bool": (bool,), "int": (int,), "double": (float, int)}
_TIME = "2026-11-24T08:00:00Z"


class InvalidVariable(Exception):
    """An unknown variable, or a value of the wrong type."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def kind_of(variable: str, name: str) -> Kind:
    """The type of `<variable>.<name>`. Raises InvalidVariable if it is unknown."""
    if variable not in SCHEMA:
        raise _unknown(variable, SCHEMA, "conditions")
    kind = SCHEMA[variable].kind
    if kind.fields is None:
        return kind.item or kind
    if name not in kind.fields:
        raise _unknown(name, kind.fields, f"`{variable}`")
    return kind.fields[name].kind


def check_value(kind: Kind, value: object) -> object:
    """The value as a condition reads it; a time is given as text. Raises InvalidVariable if its type is wrong."""
    if kind.name == "dyn":
        return value
    if kind.fields is not None:
        return _check_fields(kind.fields, value)
    if kind.name == "timestamp" and isinstance(value, str):
        return _time(value)
    if kind.item and kind.name == "list" and isinstance(value, (list, tuple)):
        return [check_value(kind.item, item) for item in value]
    if kind.item and kind.name == "map" and isinstance(value, Mapping):
        return {key: check_value(kind.item, item) for key, item in value.items()}
    types = _TYPES.get(kind.name, ())
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        example = f"; write it as text, such as '{_TIME}'" if kind.name == "timestamp" else ""
        raise InvalidVariable(f"it must be a {kind}", f"it is {_kind_name(value)}{example}")
    return value


def _check_fields(fields: Mapping[str, Field], value: object) -> Mapping[str, object]:
    """The values of all fields of a variable with a fixed shape; a text that is not given is empty."""
    if not isinstance(value, Mapping):
        raise InvalidVariable("it must be a mapping", f"write {', '.join(fields)} below it")
    for name in value:
        if name not in fields:
            raise _unknown(str(name), fields, "it")
    return {name: check_value(field.kind, value.get(name, "")) for name, field in fields.items()}


def read_given(given: Given) -> Given:
    """Check the variables of a document. Raises InvalidVariable, which names the variable at fault."""
    found: dict[str, dict[str, object]] = {}
    for variable, fields in given.items():
        for name, value in fields.items():
            try:
                found.setdefault(variable, {})[name] = check_value(kind_of(variable, name), value)
            except InvalidVariable as wrong:
                raise InvalidVariable(f"`{variable}.{name}`: {wrong.message}", wrong.hint) from None
    return found


def read_assignments(lines: Iterable[str]) -> Given:
    """Parse and check assignments such as `request.ip=10.0.0.1` or `subject.claims.org=7`.

    Raises InvalidVariable, which names the variable at fault.
    """
    given: dict[str, dict[str, object]] = {}
    for line in lines:
        path, equals, text = line.partition("=")
        variable, *names = path.split(".")
        if not equals or not names or "" in names:
            raise InvalidVariable(f"`{path}` is not an assignment", "write it as request.ip=10.0.0.1")
        try:
            kind = kind_of(variable, names[0])
            leaf = kind.fields.get(names[1]) if kind.fields and len(names) == 2 else None
            value = _value(text, plain=(leaf.kind if leaf else kind).name in ("string", "timestamp"))
            for name in reversed(names[1:]):
                value = {name: value}
            before = given.setdefault(variable, {}).get(names[0])
            value = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
            given[variable][names[0]] = check_value(kind, value)
        except InvalidVariable as wrong:
            raise InvalidVariable(f"`{path}`: {wrong.message}", wrong.hint) from None
    return given


def _value(text: str, *, plain: bool) -> object:
    """The text if `plain`; otherwise the JSON value, or the text if it is not JSON."""
    if plain:
        return text
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidVariable(f"`{text}` is not a time", f"write {_TIME}") from None
    if time.tzinfo is None:
        raise InvalidVariable(f"`{text}` has no time zone", f"write {_TIME}")
    return time


def _unknown(word: str, known: Iterable[str], where: str) -> InvalidVariable:
    names = tuple(known)
    return InvalidVariable(
        f"`{word}` is unknown in {where}", did_you_mean(word, names) or f"use one of {', '.join(names)}"
    )


def _kind_name(value: object) -> str:
    names = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", list: "a list"}
    return names.get(type(value), "nothing" if value is None else "a mapping")
