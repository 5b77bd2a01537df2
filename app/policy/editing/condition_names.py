"""Completions within conditions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from app.identity.app_facts import APP_METHOD
from app.policy.editing.meanings import FUNCTION_MEANINGS, MACRO_MEANINGS, METHOD_MEANINGS
from app.policy.editing.names import PolicyNames
from app.policy.editing.suggestions import Suggestion, grants, matched
from app.policy.language.when.functions import METHODS as VALUE_METHODS
from app.policy.language.when.shape import SCHEMA, Field, Kind, describe
from app.policy.routing.routes import METHODS
from app.policy.routing.segment import composite, is_composite

_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]*)*\Z")
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'")
_OPEN_TEXT = re.compile(r"'([^']*)\Z")
_COMPARED = re.compile(r"([a-z_]+(?:\.[a-z_]+)+)\s*[!=]=\s*\Z")
_PARAMETERS = "params"
_VALUES: Mapping[str, tuple[str, ...]] = {
    "subject.type": ("user", "key", "app", "anonymous"),
    "subject.method": ("jwt", "api_key", APP_METHOD.removeprefix("auth:"), "anonymous", "authzen"),
    "subject.environment": ("live", "test"),
    "resource.type": ("route",),
    "request.method": METHODS,
    "action.name": METHODS,
}


def typed_before(condition: str) -> str:
    """What was typed of a name or of a text, at the end of the beginning of a condition."""
    if text := open_text(condition):
        return text[1]
    path = _PATH.search(condition)
    return path[0] if path else ""


def open_text(condition: str) -> re.Match[str] | None:
    """The text in single quotes that is not closed at the end of the beginning of a condition."""
    # Closed texts are replaced by as many other characters.
    return _OPEN_TEXT.search(_TEXT.sub(lambda closed: "_" * len(closed[0]), condition))


def condition_suggestions(names: PolicyNames, condition: str, resource: str) -> Iterator[Suggestion]:
    """What fits after the beginning of a condition, in a row about this resource."""
    if text := open_text(condition):
        compared = _COMPARED.search(condition[: text.start()])
        if compared is None:
            yield from grants(names)
        else:
            yield from (Suggestion(value, "value") for value in _VALUES.get(compared[1], ()))
        return
    fields = dict(describe())
    for path, field in fields.items():
        if path != _PARAMETERS:
            yield Suggestion(path, "field", str(field.kind), field.meaning)
    for name in parameters_of(names, resource):
        yield Suggestion(f"{_PARAMETERS}.{name}", "field", "string", "a parameter of the path, as text")
    typed = typed_before(condition)
    base, dot, _ = typed.rpartition(".")
    if not dot:
        yield from (Suggestion(f"{name}(", "function", meaning) for name, meaning in FUNCTION_MEANINGS.items())
        return
    if kind := _kind_of(base, fields):
        yield from (Suggestion(f"{base}.{name}(", "function", meaning) for name, meaning in _methods_of(kind))


def parameters_of(names: PolicyNames, resource: str) -> list[str]:
    """The names of the parameters of the routes that a resource matches, sorted."""
    found: set[str] = set()
    for template in matched(names.table, resource):
        for segment in template.split("/"):
            if is_composite(segment):
                found.update(composite(segment).names)
            elif segment.startswith("{"):
                found.add(segment[1:-1])
    return sorted(found)


def _kind_of(path: str, fields: Mapping[str, Field]) -> Kind | None:
    if path in fields:
        return fields[path].kind
    first, _, rest = path.partition(".")
    known = SCHEMA.get(first)
    return known.kind.item if known and "." not in rest else None


def _methods_of(kind: Kind) -> Iterable[tuple[str, str]]:
    if kind.name in ("list", "map"):
        return MACRO_MEANINGS.items()
    return ((name, METHOD_MEANINGS[name]) for name, (of, _, _) in VALUE_METHODS.items() if of == kind)
