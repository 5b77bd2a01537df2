"""The steps that reading a document takes are counted and bounded, for one document and for all of a policy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.policy.language.fault import Fault
from app.policy.language.openapi.ambiguity import ambiguities
from app.policy.language.openapi.budget import MAX_STEPS, MAX_STEPS_TOGETHER, DocumentBudget, Work
from app.policy.language.openapi.tree import Unreadable
from app.policy.language.source import PolicySource
from app.policy.language.upstreams import load
from tests.policy.documents import document, json_document, read, service

_MANY = [{"url": f"/b{number}"} for number in range(50)]
COSTLY: dict[str, tuple[Callable[[], str], str]] = {
    "paths at many servers under one template": (
        lambda: json_document({f"/*a{number}": {"get": {}} for number in range(4_000)}, _MANY),
        "too many paths at too many servers",
    ),
    "long paths at many servers": (
        lambda: json_document(
            {"/" + "/".join(f"{{p{n}_{at}}}" for at in range(55)): {"get": {}} for n in range(50)}, _MANY
        ),
        "too many paths at too many servers",
    ),
    "paths of text and parameters in every order": (
        lambda: json_document(
            {"/" + "/".join(f"{{p{at}}}" if n >> at & 1 else "t" for at in range(8)): {"get": {}} for n in range(255)}
        ),
        "too many paths can match the same request",
    ),
    "parameters with text in one segment": (
        lambda: json_document({f"/{{a}}-x{number}-{{b}}": {"get": {}} for number in range(500)}),
        "too many paths can match the same request",
    ),
    "parameters with texts around": (
        lambda: json_document({f"/{{a}}x{number}": {"get": {}} for number in range(600)}),
        "too many paths can match the same request",
    ),
    "names of one parameter beside texts": (
        lambda: json_document({f"/{each}": {"get": {}} for n in range(400) for each in (f"{{p{n}}}", f"t{n}")}),
        "too many paths can match the same request",
    ),
    "methods that many paths share": (
        lambda: json_document(
            {f"/a{number}": {"$ref": "#/components/pathItems/x"} for number in range(500)},
            version="3.2.0",
            components={"pathItems": {"x": {"additionalOperations": {f"M{number}": {} for number in range(500)}}}},
        ),
        "references lead to too much",
    ),
    "long references that many paths share": (
        lambda: json_document(
            {f"/a{number}": {"$ref": "#/components/pathItems/x"} for number in range(500)},
            components={"pathItems": {"x": {"get": {"$ref": "#/" + "a/" * 10_000}}}},
        ),
        "references lead to too much",
    ),
    "values of servers that are read again and again": (
        lambda: (
            "openapi: 3.1.0\nx-v: &v {a: {default: a, enum: ["
            + ", ".join(f"v{number}" for number in range(2_000))
            + "]}}\nx-s: &s [{url: 'https://h/{a}', variables: *v}]\npaths:\n"
            + "\n".join(f"  /a{number}: {{servers: *s, get: {{}}}}" for number in range(300))
        ),
        "servers have too many addresses",
    ),
}


@pytest.mark.parametrize("name", COSTLY)
def test_all_the_work_of_a_document_is_bounded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of work is counted. Up to the real limit that takes seconds; the next test reaches it."""
    limit = MAX_STEPS // 40
    monkeypatch.setattr("app.policy.language.openapi.budget.MAX_STEPS", limit)
    make, message = COSTLY[name]
    text = make()
    found, faults = read(text, f"upstreams/x.openapi.{'json' if text.startswith('{') else 'yaml'}")
    assert not found.routes
    assert [fault.code for fault in faults] == ["upstream"]
    assert message in faults[0].message
    assert f"takes more than {limit} steps" in faults[0].message
    assert faults[0].hint


def _long_paths(count: int) -> str:
    """A document with many cheap steps."""
    return json_document({f"/{'a' * 3900}{{{number}": {"get": {}} for number in range(count)}, _MANY)


def test_the_work_of_a_document_is_bounded() -> None:
    found, faults = read(_long_paths(100), "upstreams/x.openapi.json")
    assert not found.routes
    assert "too many paths at too many servers: the document takes more than 3000000 steps" in faults[0].message


@pytest.fixture
def lower(monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """A tenth of the steps for one document and for all."""
    one, together = MAX_STEPS // 10, MAX_STEPS_TOGETHER // 10
    monkeypatch.setattr("app.policy.language.openapi.budget.MAX_STEPS", one)
    monkeypatch.setattr("app.policy.language.openapi.budget.MAX_STEPS_TOGETHER", together)
    return one, together


def test_an_ambiguous_table_is_refused(lower: tuple[int, int]) -> None:
    paths = [f"  /{{a}}/x{number}: {{get: {{}}}}\n  /b{number}/{{y}}: {{get: {{}}}}" for number in range(1000)]
    found, faults = read(document("\n".join(paths)))
    assert not found.routes
    assert f"too many paths can match the same request: the document takes more than {lower[0]}" in faults[0].message


@pytest.mark.parametrize(
    ("before", "left"), [(0, 3_000_000), (9_000_000, 3_000_000), (9_000_001, 2_999_999), (11_999_999, 1)]
)
def test_a_document_may_take_the_steps_that_others_left(before: int, left: int) -> None:
    budget = DocumentBudget(before)
    budget.spend(Work.PLACES, left)
    with pytest.raises(Unreadable, match="12000000" if left < MAX_STEPS else "3000000"):
        budget.spend(Work.PLACES, 1)


def test_the_work_of_all_documents_of_a_policy_is_bounded(lower: tuple[int, int]) -> None:
    costly, (_, most) = _long_paths(6), lower
    files = {f"upstreams/s{number}.openapi.json": costly for number in range(9)}
    one: list[Fault] = []
    known = load(PolicySource(dict(list(files.items())[:1]), "before"), one, {}, ())
    assert not one
    assert most / 9 < known[0].steps < most / 4
    for before, taken in ((files, known), ({}, ())):  # cached documents count as if they were read
        faults: list[Fault] = []
        found = load(PolicySource(files, "now"), faults, before, taken)
        assert found[0] == known[0]
        assert {fault.code for fault in faults} == {"upstream"}
        assert [fault.file for fault in faults] == list(files)[-len(faults) :]
        assert f"the documents of the policy together take more than {most} steps" in faults[0].message
        assert 1 <= len(faults) <= 5


def test_documents_that_are_refused_count_too(lower: tuple[int, int]) -> None:
    costly, (one, most) = _long_paths(10), lower
    files = {f"upstreams/s{number}.openapi.json": costly for number in range(8)}
    faults: list[Fault] = []
    load(PolicySource(files, "now"), faults, {}, ())
    together = [f"the policy together take more than {most} steps" in fault.message for fault in faults]
    assert together == [number >= most // one for number in range(8)]


def test_large_documents_are_well_within_the_budget() -> None:
    large: dict[str, object] = {
        f"/repos/{{owner}}/{{repo}}/n{n % 100}/{{id}}/m{n}": {"get": {}, "put": {}} for n in range(3000)
    }
    spent = DocumentBudget()
    methods = {template: frozenset({"GET"}) for template in large}
    assert not list(ambiguities(methods, (), spent))
    assert spent.spent < MAX_STEPS / 10
    assert len(service(json_document(large), "upstreams/x.openapi.json").routes) == 6000
    odata: dict[str, object] = {f"/Set{number}({{key}})/x{at}": {"get": {}} for number in range(300) for at in range(4)}
    assert len(service(json_document(odata), "upstreams/x.openapi.json").routes) == 1200
    spread = dict(list(large.items())[:1000])
    assert len(service(json_document(spread, _MANY[:10]), "upstreams/x.openapi.json").routes) == 20_000
