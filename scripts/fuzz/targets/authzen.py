"""Bodies of AuthZEN's five endpoints. A question that is answered alone must be answered alike in a batch.

An input is the end of the path, such as `evaluation` or `search/subject`, a line break, and the body.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from scripts.fuzz.application import API_KEY, KEY_ID, Answer, Application, Question, application
from scripts.fuzz.mutations import mutated, mutated_json
from scripts.fuzz.responses import check_answer
from scripts.fuzz.target import Check, Target, Violation
from scripts.fuzz.targets.headers import OPERATOR

_PATHS = ("evaluation", "evaluations", "search/subject", "search/resource", "search/action")
_STATUSES = (200, 400, 413, 415)
_ALICE = {"type": "user", "id": "alice", "properties": {"permissions": ["catalog:read"]}}
_RECORD = {"type": "record", "id": "record-1", "properties": {"status": "open"}}
_CONTEXT = {"tags": ["a"], "size": 7}
_ONE = {
    "subject": _ALICE,
    "action": {"name": "read"},
    "resource": _RECORD,
    "context": _CONTEXT,
    "options": {"explain": True},
}
_ROUTE = {
    "subject": {"type": "key", "id": str(KEY_ID)},
    "action": {"name": "GET", "properties": {}},
    "resource": {"type": "route", "id": "orders:/v1/orders/7"},
}
_BODIES: dict[str, tuple[Any, ...]] = {
    "evaluation": (_ONE, _ROUTE, {**_ROUTE, "resource": {"type": "route", "id": "/api/v1/teams/7"}}),
    "evaluations": (
        {**_ONE, "evaluations": [{}, {"action": {"name": "write"}}, {"resource": {"type": "record", "id": "r"}}]},
        {"evaluations": [_ROUTE, _ONE], "options": {"evaluations_semantic": "deny_on_first_deny"}},
    ),
    "search/subject": (
        {"subject": {"type": "user"}, "action": {"name": "read"}, "resource": _RECORD, "page": {"limit": 2}},
    ),
    "search/resource": (
        {"subject": _ALICE, "action": {"name": "read"}, "resource": {"type": "record"}, "context": _CONTEXT},
        {
            "subject": _ALICE,
            "action": {"name": "GET"},
            "resource": {"type": "route"},
            "page": {"limit": 3, "token": "AAAA"},
        },
    ),
    "search/action": ({"subject": _ALICE, "resource": _RECORD, "context": {}},),
}
EXAMPLES = tuple(path.encode() + b"\n" + json.dumps(body).encode() for path in _PATHS for body in _BODIES[path])
_KEYS = (
    *("subject", "action", "resource", "context", "evaluations", "options", "page", "type", "id", "name", "properties"),
    *("explain", "evaluations_semantic", "limit", "token", "permissions", "status", "tags", "size", "role", "roles"),
)
_WORDS = (
    *(
        b'"type":',
        b'"id":',
        b'"user"',
        b'"key"',
        b'"route"',
        b'"record"',
        b'"/api/v1/teams/%2e%2e"',
        b"orders:/v1/orders/7",
    ),
    *(
        b'"permissions":',
        b'"role:admin"',
        b'"anyone"',
        b'"execute_all"',
        b"{},",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b'"',
        b"\\",
    ),
    *(
        b"\\ud800",
        b"\\u0000",
        b"\\u202e",
        b"null",
        b"true",
        b"\xef\xbb\xbf",
        API_KEY.encode(),
        b"//",
        b"/**",
        b"*",
        b"{id}",
    ),
)


def _ask(app: Application, path: str, body: bytes) -> Answer:
    headers = [(b"authorization", b"Bearer " + OPERATOR.encode()), (b"content-type", b"application/json")]
    answer = app.ask(Question("POST", b"/access/v1/" + path.encode(), headers, [body]))
    check_answer(answer, method="POST")
    if answer.status not in _STATUSES:
        raise Violation(f"status {answer.status} at {path}: {answer.body[:300]!r}")
    return answer


def _check_shape(path: str, content: Any) -> None:
    if path == "evaluation" or (path == "evaluations" and "decision" in content):
        fits = isinstance(content.get("decision"), bool) and content.keys() <= {"decision", "context"}
    elif path == "evaluations":
        items = content.get("evaluations")
        fits = isinstance(items, list) and all(isinstance(each.get("decision"), bool) for each in items)
    else:
        fits = isinstance(content.get("results"), list) and isinstance(content.get("page", {}), dict)
    if not fits:
        raise Violation(f"an answer without its shape at {path}: {str(content)[:300]}")


def _compare_with_batch(app: Application, body: bytes, decision: bool) -> None:
    """The same question as the one item of a batch."""
    batch = b'{"evaluations":[' + body + b"]}"
    answer = _ask(app, "evaluations", batch)
    if answer.status != 200:
        if len(batch) < 100_000:
            raise Violation(f"a question is answered alone, in a batch: {answer.body[:300]!r}")
        return
    (item,) = json.loads(answer.body)["evaluations"]
    if item["decision"] is not decision:
        raise Violation(f"{decision} alone, in a batch {item}")


@contextmanager
def _opened() -> Iterator[Check]:
    with application() as app:

        def check(data: bytes) -> None:
            name, _, body = data.partition(b"\n")
            path = name.decode("ascii", "replace")
            if path not in _PATHS:
                path = _PATHS[len(name) % len(_PATHS)]
            answer = _ask(app, path, body)
            if answer.status != 200:
                return
            content = json.loads(answer.body)
            _check_shape(path, content)
            if path == "evaluation":
                _compare_with_batch(app, body, content["decision"])

        yield check


@st.composite
def _structured(draw: DrawFn) -> bytes:
    path = draw(st.sampled_from(_PATHS))
    body: bytes = draw(mutated_json(_BODIES[path], _KEYS))
    if not draw(st.integers(0, 3)):
        body = draw(mutated([body], _WORDS))
    return path.encode() + b"\n" + body


@st.composite
def _textual(draw: DrawFn, bases: Sequence[bytes]) -> bytes:
    name, _, body = draw(st.sampled_from(bases)).partition(b"\n")
    return name + b"\n" + draw(mutated([body, *(base.partition(b"\n")[2] for base in bases)], _WORDS))


def _inputs(seeds: Sequence[bytes]) -> SearchStrategy[bytes]:
    return _structured() | _textual([*EXAMPLES, *seeds])


TARGET = Target("authzen", EXAMPLES, _inputs, _opened)
