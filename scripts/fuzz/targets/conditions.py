"""Conditions in CEL with hostile contexts: refused with a place, or evaluated to true, false or a ConditionError.

An input is a condition, a line break, and JSON with claims, properties, context and params. CEL's library alone, given
the whole context, must come to the same outcome.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from app.policy.language.when.condition import ConditionFault, compile_condition
from app.policy.language.when.cost import MAX_STEPS
from scripts.fuzz.mutations import mutated, mutated_json
from scripts.fuzz.target import Check, Target, Violation
from tests.policy.random_conditions import ERROR, PIECES, Misfitted, Writer, a_context, by_the_library_alone, by_us

_LARGE = re.compile(rb"[0-9]{19}|[0-9][eE]\+?[0-9]{3}")
_SMALL = 2_000  # characters, for the library alone: it has no limits of its own
_TIME = datetime(2026, 11, 24, 8, tzinfo=UTC)
_PLACES = {"claims": "subject", "properties": "subject", "owned": "resource", "soft": "action"}


def _examples() -> Iterator[bytes]:
    chance = random.Random(1)
    for number in range(60):
        text = Writer(chance, loose=number % 2 == 0).of("bool", 3).replace("\n", " ")
        context = a_context(chance)
        given = {
            "claims": context["subject"]["claims"],
            "owned": context["resource"]["properties"],
            "context": context["context"],
            "params": context["params"],
        }
        yield text.encode() + b"\n" + json.dumps(given).encode()
    for text in (
        "subject.claims.org.roles.exists(r, r == 'admin') && ip_in(request.ip, '10.0.0.0/8')",
        "request.time - timestamp('2026-01-01T00:00:00Z') > duration('24h') && int(params.team_id) % 2 == 1",
        "context.list != [] ? context.list.all(x, x != null) : false",
        "('a' + subject.id + subject.id).contains(resource.id) || !(subject.type in ['key', 'user'])",
    ):
        yield (
            text.encode()
            + b'\n{"claims": {"org": {"roles": ["admin"]}}, "context": {"list": [1, "a"]}, "params": {"team_id": "7"}}'
        )


EXAMPLES = tuple(_examples())
_WORDS = (
    *(piece.encode() for piece in PIECES),
    *(
        b"subject.claims",
        b"context.list",
        b"request.time",
        b"ip_in(request.ip, '10.0.0.0/8')",
        b".exists(x, ",
        b".all(x, ",
    ),
    *(
        b".map(x, x)",
        b".filter(x, x)",
        b".matches('(a+)+$')",
        b"size(",
        b"string(",
        b"bytes(",
        b"type(",
        b"dyn(",
        b"duration('",
    ),
    *(
        b"timestamp('",
        b"[1, 2]",
        b"{'a': 1}",
        b"&&",
        b"||",
        b"!",
        b"-",
        b"? :",
        b".contains(",
        b" + ",
        b"context.list + context.list",
    ),
)


def _context(given: Any) -> dict[str, dict[str, Any]]:
    """The six variables, of which callers choose claims, properties, context and params."""
    stated = given if isinstance(given, dict) else {}
    context = a_context(random.Random(1))
    context["request"]["time"] = _TIME
    for name, variable in _PLACES.items():
        if isinstance(stated.get(name), dict):
            context[variable]["claims" if name == "claims" else "properties"] = stated[name]
    if isinstance(stated.get("context"), dict):
        context["context"] = stated["context"]
    if isinstance(stated.get("params"), dict):
        context["params"] = {name: value for name, value in stated["params"].items() if isinstance(value, str)}
    return context


def _compare(text: str, context: dict[str, dict[str, Any]], outcome: bool | str) -> None:
    try:
        expected = by_the_library_alone(text, context)
    except Misfitted:
        expected = ERROR
    except Exception as error:
        raise Violation(f"ours is {outcome}, the library alone raises {type(error).__name__}: {error}") from error
    if expected != outcome:
        raise Violation(f"ours is {outcome}, that of the library alone {expected}")


@contextmanager
def _opened() -> Iterator[Check]:
    yield check


def check(data: bytes) -> None:
    """Compile and evaluate a condition."""
    line, _, given = data.partition(b"\n")
    text = line.decode("utf-8", "replace")
    condition = compile_condition(text)
    if isinstance(condition, ConditionFault):
        if not condition.message or condition.length < 1 or not 0 <= condition.offset <= len(text):
            raise Violation(f"a fault without a place: {condition!r}")
        if "please report it" in condition.hint:
            raise Violation(f"the library does not take what the checker does: {text!r}")
        return
    try:
        context = _context(json.loads(given))
    except (ValueError, RecursionError):
        context = _context({})
    outcome = by_us(condition, context)
    bounded = condition.cost is None or condition.cost.steps({}) <= MAX_STEPS
    if bounded and len(data) < _SMALL and not _is_beyond_library(data):
        _compare(text, context, outcome)


def _is_beyond_library(data: bytes) -> bool:
    """Whether the library alone could fail on what no condition needs, such as half a character or many levels."""
    return (
        b"\\ud" in data.lower()
        or _LARGE.search(data.partition(b"\n")[2]) is not None
        or any(data.count(mark) > 60 for mark in (b"[", b"{", b"("))
    )


@st.composite
def _inputs_of(draw: DrawFn, bases: Sequence[bytes]) -> bytes:
    line, _, given = draw(st.sampled_from(bases)).partition(b"\n")
    lines = [base.partition(b"\n")[0] for base in bases]
    text = draw(st.just(line) | mutated([line, *lines], _WORDS, most=6_000))
    try:
        value = json.loads(given)
    except (ValueError, RecursionError):
        value = {}
    return (
        text.replace(b"\n", b" ")
        + b"\n"
        + draw(st.just(given) | mutated_json([value], ("claims", "context", "params", "list", "org")))
    )


def _inputs(seeds: Sequence[bytes]) -> SearchStrategy[bytes]:
    return _inputs_of([*EXAMPLES, *seeds])


TARGET = Target("conditions", EXAMPLES, _inputs, _opened)
