"""A change for apps is left out if it follows from one for other callers by the same grants."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.policy.analysis.access_change import AccessChange, Combination, Kind
from app.policy.analysis.app_changes import without_implied_changes
from app.policy.analysis.callers import AppPattern
from app.policy.analysis.reroute import Reroute
from app.policy.analysis.terms import When

C, D = When("1 == 1", ""), When("1 == 2", "")
ANY = AppPattern(frozenset(), frozenset())
BOTH = Combination((("consented::a",), ("on-behalf::b",)))
EVERYONE = Combination()


def holders(*grants: str, met: tuple[When, ...] = (), not_unmet: tuple[When, ...] = ()) -> Combination:
    return Combination(tuple((grant,) for grant in grants), met, not_unmet)


def change(who: Combination, *unless: Combination, kind: Kind = "gain") -> AccessChange:
    return AccessChange(kind, "/x", ("GET",), who, unless, ())


@pytest.mark.parametrize(
    ("own", "direct", "is_implied"),
    [
        (change(BOTH), change(holders("a")), True),
        (change(BOTH), change(holders("b")), True),
        (change(BOTH), change(holders("a", "b")), True),
        (change(BOTH), change(Combination((("a", "c"),))), True),
        (change(BOTH), change(holders("c")), False),
        (change(BOTH), change(holders("a", "c")), False),
        (change(BOTH), change(EVERYONE), True),
        (change(BOTH), change(EVERYONE, holders("c")), True),  # it is open to everyone now
        (change(BOTH), change(holders("a"), kind="loss"), False),
        (change(BOTH, kind="loss"), change(holders("a"), kind="loss"), True),
        (change(BOTH, kind="loss"), change(EVERYONE, kind="loss"), True),
        (change(BOTH, kind="loss"), change(EVERYONE, holders("c"), kind="loss"), False),
        (change(BOTH), replace(change(holders("a")), reroute=Reroute("/x", None, "/x")), False),
        (change(replace(BOTH, met=(C,))), change(holders("a", met=(C,))), True),
        (change(replace(BOTH, met=(C,))), change(holders("a")), True),
        (change(BOTH), change(holders("a", met=(C,))), False),
        (change(replace(BOTH, not_unmet=(C,))), change(holders("a", met=(C,))), False),
        (change(replace(BOTH, not_unmet=(C,))), change(holders("a", not_unmet=(C,))), True),
        (change(replace(BOTH, met=(C,))), change(holders("a", not_unmet=(C,))), True),
        (change(BOTH), change(holders("a", not_unmet=(C,))), False),
        (change(replace(BOTH, met=(D,))), change(holders("a", not_unmet=(C,))), False),
        (change(BOTH, holders("on-behalf::c")), change(holders("a"), holders("c")), True),
        (change(BOTH, holders("consented::d"), holders("on-behalf::c")), change(holders("a"), holders("c")), True),
        (change(BOTH, holders("on-behalf::c")), change(holders("a"), holders("c"), holders("d")), False),
        (change(BOTH, holders("on-behalf::c")), change(holders("a"), holders("c", "d")), True),
        (change(BOTH, holders("on-behalf::c", "on-behalf::d")), change(holders("a"), holders("c")), False),
        (change(BOTH), change(holders("a"), holders("c")), False),
        (change(BOTH, holders("on-behalf::c", met=(C,))), change(holders("a"), holders("c", met=(C,))), True),
        (change(BOTH, holders("on-behalf::c", met=(C,))), change(holders("a"), holders("c")), False),
        (change(BOTH, holders("on-behalf::c")), change(holders("a"), holders("c", met=(C,))), True),
        (change(BOTH, holders("on-behalf::c", not_unmet=(C,))), change(holders("a"), holders("c", met=(C,))), True),
        (
            change(BOTH, holders("on-behalf::c", not_unmet=(C,))),
            change(holders("a"), holders("c", not_unmet=(C,))),
            True,
        ),
        (change(BOTH, holders("on-behalf::c", not_unmet=(C,))), change(holders("a"), holders("c")), False),
    ],
)
def test_a_change_for_apps_follows_from_another(own: AccessChange, direct: AccessChange, *, is_implied: bool) -> None:
    found = replace(own, apps=(ANY,))
    others = [change(holders("z"), kind=own.kind)]
    assert without_implied_changes([found], [*others, direct]) == ([] if is_implied else [found])
