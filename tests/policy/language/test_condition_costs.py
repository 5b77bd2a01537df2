"""The estimated steps of a condition: 20 for each node, and more by the sizes of values."""

from __future__ import annotations

import pytest

from app.policy.language.when.check import Checker
from app.policy.language.when.cost import MAX_STEPS, Estimator, Extent, extent_of
from app.policy.language.when.syntax import parse

C = "subject.claims"
VALUES: dict[str, object] = {"one": 1, "ten": [1] * 9, "text": "x" * 80, "texts": ["x" * 8] * 4}
# 150 steps convert an item; lists are counted by item, and texts by eight characters.
ONE, TEN, TEXT, TEXTS = 150, 1500, 150, 750


def estimator(text: str) -> Estimator:
    checker = Checker(text)
    checker.check(parse(text))
    return checker.cost


def steps(text: str, **values: object) -> float:
    """The steps of a condition where each `subject.claims.<name>` has the value of that name."""
    checker = Checker(text)
    checker.check(parse(text))
    every = {**VALUES, **values}
    read = {name: every[read.path[-1]] for name, read in checker.flat.reads.items() if read.path[-1] in every}
    return checker.cost.steps(read)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", 20),
        ("!true", 20 + 20 + 1),
        ("true && false", 60),
        ("true || false", 60),
        ("true || false || true", 100),
        ("1 == 2", 60 + 2),
        ("'12345678' < 'a'", 60 + 2 + 9 / 8),
        ("true ? true : false", 4 * 20 + 3),
        (f"{C}.one == {C}.one", ONE + 60 + 2),
        (f"{C}.ten == {C}.ten", TEN + 60 + 20),
        (f"{C}.text < {C}.text", TEXT + 60 + 2 * (1 + 10)),
        (f"{C}.texts < {C}.texts", TEXTS + 60 + 2 * (5 + 4)),
        (f"{C}.ten + {C}.ten == {C}.one", TEN + ONE + (60 + 20 + 30 * 20) + 20 + 20 + 21 + 1),
        (f"{C}.one - {C}.one == 1", ONE + (60 + 2) + 20 + 20 + 1 + 1),
        (f"[{C}.one, 1] == {C}.one", ONE + (60 + 2 + 60) + 20 + 20 + 3 + 1),
        (f"{C}.ten[0] == 1", TEN + (60 + 10 + 1) + 20 + 20 + 12 + 1),
        (f"size({C}.text) == 1", None),
        (f"int({C}.one) == 1", ONE + (40 + 1) + 20 + 20 + 2 + 1),
        (f"{C}.ten.exists(x, x == 1)", TEN + 20 + 20 + 9 * (60 + 2 + 20)),
        (f"{C}.ten.all(x, true)", TEN + 20 + 20 + 9 * 40),
        (f"{C}.texts.all(x, x < 'a')", TEXTS + 20 + 20 + 4 * (60 + 2 + (8 + 1) / 8 + 20)),
        (f"{C}.one.all(x, true)", ONE + 20 + 20 + 40),
    ],
)
def test_the_steps_of_a_condition_follow_from_nodes_and_values(text: str, expected: float | None) -> None:
    if expected is not None:
        assert steps(text) == pytest.approx(expected)


def test_a_constant_result_costs_one_node() -> None:
    for text in (f"has({C}.ten)", f"'a' in {C}.ten", f"{C}.text == 'a'", "ip_in(request.ip, '10.0.0.0/8')"):
        assert steps(text) == 20


def test_an_absent_value_costs_at_most_one_item() -> None:
    assert steps(f"{C}.absent == {C}.gone") == 60 + 2


@pytest.mark.parametrize(
    ("text", "bounded"),
    [
        ("params.id < 'a'", True),
        (f"{C}.a + {C}.b != [1]", True),
        (f"{C}.a.all(x, x == 1)", True),
        (f"{C}.a.all(x, {C}.b == [x])", False),
        (f"{C}.a.all(x, {C}.b + {C}.b != [x])", False),
    ],
)
def test_a_condition_of_bounded_cost_needs_no_estimate(text: str, bounded: bool) -> None:
    assert estimator(text).is_bounded is bounded


@pytest.mark.parametrize(
    ("value", "extent"),
    [
        (None, Extent(1, 0)),
        ("abc", Extent(1, 3)),
        ([], Extent(1, 0)),
        (["a", "bc", 7], Extent(4, 3)),
        ({"ab": [1, "c"], "d": {}}, Extent(7, 4)),
    ],
)
def test_the_extent_of_a_value_counts_its_items_and_characters_at_every_level(value: object, extent: Extent) -> None:
    assert extent_of(value) == extent


def test_an_evaluation_takes_some_milliseconds_at_most() -> None:
    assert MAX_STEPS == 1_000_000
