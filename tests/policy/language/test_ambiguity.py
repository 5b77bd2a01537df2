"""No request is decided by the rules of an endpoint if a program could route it to another."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.policy.engine.target import params_of
from app.policy.language.openapi.ambiguity import ambiguities
from app.policy.routing.segment import composite, is_composite
from tests.policy.documents import document, service, table

# Few texts, so that many templates overlap.
_SEGMENTS = [
    "a",
    "b",
    "a:c",
    "{x}",
    "{y}",
    "{x}:c",
    "{y}:c",
    "a{x}",
    "{x}-{y}",
    "{x}b",
    "a-b",
    "{x}:b:c",
    "{p:path}",
    "{}",
]
_VALUES = ["a", "b", "a:c", "b:c", "ab", "a-b", "a-b-c", "b:b:c", "a-b:c", "axb", "q"]
_METHODS = ["get", "put", "head"]

_paths = st.lists(st.sampled_from(_SEGMENTS), min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
_methods = st.sets(st.sampled_from(_METHODS), min_size=1)
_requests = st.lists(st.sampled_from(_VALUES), min_size=1, max_size=3)


@st.composite
def _questions(draw: st.DrawFn) -> tuple[dict[str, set[str]], list[str]]:
    """A request and a document, most of whose paths match it."""
    request = draw(_requests)
    fitting = [st.sampled_from([part for part in _SEGMENTS if _splits(part, text)]) for text in request]
    near = st.tuples(*fitting).map(lambda parts: "/" + "/".join(parts))
    paths = st.one_of(near, near, near, _paths)
    return draw(st.dictionaries(paths, _methods, min_size=1, max_size=7)), request


def _splits(segment: str, text: str) -> set[tuple[str, ...]]:
    """Every way to match a text to a segment, by brute force."""
    pieces = re.split(r"\{[^{}]*\}", segment)
    found: set[tuple[str, ...]] = set()

    def go_on(index: int, at: int, values: tuple[str, ...]) -> None:
        if index == len(pieces):
            if at == len(text):
                found.add(values)
            return
        for end in range(at + 1, len(text) + 1):
            if text.startswith(pieces[index], end):
                go_on(index + 1, end + len(pieces[index]), (*values, text[at:end]))

    if text.startswith(pieces[0]):
        go_on(1, len(pieces[0]), ())
    return found


def _matches(path: str, request: list[str]) -> bool:
    parts = path[1:].split("/")
    for index, part in enumerate(parts):
        if part == "{p:path}" and all(_splits(each, text) for each, text in zip(parts[:index], request, strict=False)):
            # It may match the rest, or one segment.
            if len(request) > index:
                return True
        elif index >= len(request) or not _splits(part, request[index]):
            return False
    return len(parts) == len(request)


def _is_told_apart(path: str, other: str) -> bool:
    """Whether every program prefers the first: it has literal text wherever the other has, and more."""
    mine, others = path[1:].split("/"), other[1:].split("/")
    if "{" not in path:
        return True
    more = False
    for left, right in zip(mine, others, strict=False):
        if "{" not in left:
            more |= "{" in right
        elif "{" not in right:
            return False
    return more


@settings(max_examples=200, deadline=None)
@given(_questions())
@example(({"/{x}-{y}": {"get"}, "/{x}": {"put"}}, ["a-b-c"]))
def test_indistinguishable_endpoints_decide_no_request(
    question: tuple[dict[str, set[str]], list[str]],
) -> None:
    paths, request = question
    lines = [f"  '{path}': {{{', '.join(f'{method}: {{}}' for method in sorted(paths[path]))}}}" for path in paths]
    found = service(document("\n".join(lines)))
    routes = table(found)
    plain = "/" + "/".join(request)
    template = routes.resolve(plain, "x")
    meeting = {path for path in paths if _matches(path, request)}
    # It belongs to the same endpoint or to none, whether it is decoded before matching or not.
    assert routes.resolve(plain.replace(":", "%3A").replace("-", "%2D"), "x") in (None, template)
    if template is None:
        return
    path = template.removeprefix("x:")
    assert path in meeting
    for part, text in zip(path[1:].split("/"), request, strict=True):
        assert len(_splits(part, text)) == 1
    for name, value in params_of(template, f"x:{plain}").items():
        assert value in "/".join(request), name
    methods = {*routes.methods(template), *(["HEAD"] if "GET" in routes.methods(template) else [])}
    for other in meeting - {path}:
        theirs = {method.upper() for method in paths[other]}
        theirs |= {"HEAD"} if "GET" in theirs else set()
        assert _is_told_apart(path, other) or not methods & theirs, (path, other)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([part for part in _SEGMENTS if is_composite(part)]), st.text("ab:-", min_size=1, max_size=8))
def test_a_segment_is_read_in_every_possible_way(segment: str, text: str) -> None:
    every, values = _splits(segment, text), composite(segment).values(text)
    assert values == (None if not every else every.pop() if len(every) == 1 else ())


@settings(max_examples=200, deadline=None)
@given(st.lists(_paths, min_size=2, max_size=6, unique=True))
def test_ambiguity_does_not_depend_on_the_order_of_a_document(paths: list[str]) -> None:
    methods = dict.fromkeys((path for path in paths if ":path" not in path and "{}" not in path), frozenset({"GET"}))
    backwards = dict(reversed(methods.items()))
    assert {each.template for each in ambiguities(methods)} == {each.template for each in ambiguities(backwards)}


@pytest.mark.parametrize(
    ("template", "closed", "is_ambiguous"),
    [
        # Their common paths resolve to the template that is narrower where they first differ.
        ("/{x}/b", "/a/**", False),
        ("/{x}/b", "/a{x}/**", False),
        ("/{x}/a{y}", "/b/**", False),
        ("/{x}/b", "/{x}/**", True),
        ("/a/{x}/b", "/a/c/**", False),
        ("/a/{x}/b", "/{x}/c/**", True),
        ("/a/{x}", "/{x}/b", True),
        ("/{x}/b", "/a/{y}", False),
        ("/a{x}/{y}", "/{x}/b", True),
        ("/{x}/b", "/a{x}/{y}", False),
        ("/a/**", "/{x}/b", True),
        ("/a{x}/**", "/{x}/b", True),
        ("/a{x}", "/{y}b", True),
        ("/a{x}/{y}", "/{y}b/c", True),
        ("/{x}/b/c", "/a/{y}/**", False),
        ("/a/{x}/c", "/{y}/b/**", True),
    ],
)
def test_a_closed_template_is_no_ambiguity_where_it_comes_first(
    template: str, closed: str, *, is_ambiguous: bool
) -> None:
    methods = dict.fromkeys((template, closed), frozenset({"GET"}))
    found = [(each.template, each.other) for each in ambiguities(methods, {closed})]
    assert found == [(template, closed)] * is_ambiguous
    assert (template, closed) in [(each.template, each.other) for each in ambiguities(methods)]
