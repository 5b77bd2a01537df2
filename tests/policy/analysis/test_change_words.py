"""A change of access in one line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.policy.analysis.access_change import AccessChange, AccessDiff, Combination
from app.policy.analysis.callers import AppPattern
from app.policy.analysis.change_words import describe
from app.policy.analysis.reroute import Reroute
from app.policy.analysis.terms import When

C, D = When("1 == 1", ""), When("1 == 2", "old")
EVERYONE = Combination()


def change(
    who: Combination = EVERYONE, *unless: Combination, actions: str = "GET", reroute: Reroute | None = None
) -> AccessChange:
    return AccessChange("gain", "/x", tuple(actions.split()), who, unless, (), reroute)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (change(), "GET /x  for everyone"),
        (change(actions="GET POST"), "GET|POST /x  for everyone"),
        (change(Combination((("a",),))), "GET /x  for holders of a"),
        (change(Combination((("a",), ("b", "c")))), "GET /x  for holders of a + (b or c)"),
        (change(Combination((tuple("abcd"),))), "GET /x  for holders of (a or b or c or d)"),
        (change(Combination((tuple("abcde"),))), "GET /x  for holders of (a or b or c or d or 1 more)"),
        (change(Combination((), (C,))), "GET /x  for everyone when `1 == 1`"),
        (
            change(Combination((("a",),), (C,), (D,))),
            "GET /x  for holders of a when `1 == 1` when `1 == 2` (with the roles of the old policy) is met or unknown",
        ),
        (change(EVERYONE, Combination((("b",),))), "GET /x  for everyone, unless they hold b"),
        (
            change(EVERYONE, Combination((("b",),), (C,)), Combination((("c",),))),
            "GET /x  for everyone, unless they hold b and `1 == 1` or they hold c",
        ),
        (
            change(EVERYONE, Combination((), (D,))),
            "GET /x  for everyone, unless `1 == 2` (with the roles of the old policy)",
        ),
        (
            change(reroute=Reroute("s:/x", None, "s:/{y}")),
            "GET /x, now answered by s:/{y} instead of no route,  for everyone",
        ),
        (
            change(reroute=Reroute("s:/x", "s:/{y}", None)),
            "GET /x, now answered by no route instead of s:/{y},  for everyone",
        ),
    ],
)
def test_a_change_is_one_line(made: AccessChange, text: str) -> None:
    assert describe(made) == text


@pytest.mark.parametrize(
    ("apps", "who", "unless", "text"),
    [
        ([("", "")], (), (), "all apps"),
        ([("app:a", "")], (), (), "apps (app:a)"),
        ([("app:a app-kind:document", ""), ("", "app:a app:b")], (), (),
         "apps (app-kind:document + app:a or without app:a or app:b)"),
        ([("app:a", "app-host:h")], ("consented::r",), (), "apps (app:a without app-host:h) with consent to r"),
        ([("", "")], ("on-behalf::r",), (), "all apps of users who hold r"),
        ([("app:a", "")], ("consented::r", "on-behalf::r", "on-behalf::user:u"), ("consented::w", "on-behalf::x"),
         "apps (app:a) with consent to r of users who hold r + user:u, "
         "unless they have consent to w and the user holds x"),
        ([(f"app:{n}", "") for n in range(6)], (), (), "apps (app:0 or app:1 or app:2 or app:3 or 2 more)"),
    ],
)  # fmt: skip
def test_apps_are_named_by_their_facts(
    apps: list[tuple[str, str]], who: tuple[str, ...], unless: tuple[str, ...], text: str
) -> None:
    patterns = tuple(AppPattern(frozenset(holds.split()), frozenset(lacks.split())) for holds, lacks in apps)
    holds, bounds = tuple((grant,) for grant in who), tuple((grant,) for grant in unless)
    made = replace(change(Combination(holds), *([Combination(bounds)] if bounds else [])), apps=patterns)
    assert describe(made) == f"GET /x  for {text}"


@pytest.mark.parametrize(
    ("side", "text"),
    [
        ("app", "with the grants of the app"),
        ("user new", "with the grants of the user, with the roles of the new policy"),
    ],
)
def test_a_condition_names_whose_grants_it_reads(side: str, text: str) -> None:
    assert describe(change(Combination((), (When("c", side),)))) == f"GET /x  for everyone when `c` ({text})"


def test_a_change_may_depend_on_conditions_and_names_its_callers() -> None:
    assert not change(Combination((("a",),)), Combination((("b",),))).may
    assert change(Combination((), (C,))).may
    assert change(EVERYONE, Combination((), (), (C,))).may
    made = change(Combination((("a", "b"), ("c",)), (C,), (D,)), Combination((("d",),)))
    assert made.covers(frozenset("ac"), {C: True, D: True})
    assert made.covers(frozenset("bc"), {C: True, D: None})
    assert not made.covers(frozenset("ac"), {C: None, D: True})
    assert not made.covers(frozenset("ac"), {C: True, D: False})
    assert not made.covers(frozenset("a"), {C: True, D: True})
    assert not made.covers(frozenset("acd"), {C: True, D: True})


@pytest.mark.parametrize(
    ("difference", "widens"),
    [
        (AccessDiff(()), False),
        (AccessDiff((change(),)), True),
        (AccessDiff((AccessChange("loss", "/x", ("GET",), EVERYONE, (), ()),)), False),
        (AccessDiff((), (("/x", "GET"),)), True),
    ],
)
def test_a_gain_or_an_unknown_change_widens_access(difference: AccessDiff, widens: bool) -> None:
    assert difference.widens is widens
