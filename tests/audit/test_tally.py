"""Durations are counted by a bounded number of labels."""

from __future__ import annotations

import pytest

from app.audit import tally
from app.audit.record import Unverified
from app.audit.tally import OTHER, UNAVAILABLE, UNKNOWN, Outcomes, Series, Tally
from app.identity.errors import AuthenticationFault
from app.policy.engine.decision import Decision
from app.policy.language.reason import Reason


def test_durations_become_a_sum_and_numbers_by_bits() -> None:
    series = Series()
    series.recent.extend([0, 1, 1023, 1024, 1025])
    assert series.added_up() == (3073, {0: 1, 1: 1, 10: 1, 11: 2})
    assert series.recent == []
    series.recent.append(1024)
    assert series.added_up() == (4097, {0: 1, 1: 1, 10: 1, 11: 3})


def test_many_durations_are_added_up_in_steps_while_more_arrive() -> None:
    counted = Tally()
    recent = counted.recent("a")
    recent.extend([1] * 12_000)
    steps = counted.add_up()
    next(steps)
    assert 5_000 <= len(recent) < 12_000  # the rest waits
    recent.append(2)
    counted.recent("b").append(4)  # a label that is new meanwhile
    assert [(labels, total) for labels, total, _ in counted.added_up()] == [(("a",), 12_002), (("b",), 4)]
    assert list(steps) == []


def test_outcomes_have_fixed_labels() -> None:
    outcomes = Outcomes(lambda resource: resource == "/a")
    allowed, denied = Decision(True, Reason.ALLOWED, "r"), Decision(False, Reason.NOT_HELD, "r")
    expired, unavailable = (
        Unverified(AuthenticationFault.EXPIRED.value, "r"),
        Unverified("Signing keys are unavailable.", "r"),
    )
    for resource, outcome in (("/a", allowed), ("/a", denied), ("", denied), ("/a", expired), ("/a", unavailable)):
        outcomes.first("app", resource, outcome).append(1)
    outcomes.first("authzen", "record:1", Unverified("There is no `needle`.", "r")).append(1)
    assert {labels for labels, _, _ in outcomes.added_up()} == {
        ("/a", "app", "allow", "allowed"),
        ("/a", "app", "deny", "not_held"),
        (UNKNOWN, "app", "deny", "not_held"),
        ("/a", "app", "deny", "expired"),
        ("/a", "app", "deny", UNAVAILABLE),
        (UNKNOWN, "authzen", "deny", UNKNOWN),
    }


def test_only_bounded_values_become_labels() -> None:
    outcomes = Outcomes(lambda resource: resource == "/a")
    for number in range(100):
        outcomes.first("authzen", f"record:{number}", Decision(False, Reason.UNRULED, "r"))
        outcomes.first("authzen", "/a", Unverified(f"There is no {number}.", "r"))
    outcomes.first("app", "/a", Decision(True, Reason.ALLOWED, "r"))
    assert {door: {r: set(reasons) for r, reasons in known.items()} for door, known in outcomes.known.items()} == {
        "app": {"/a": {Reason.ALLOWED}}
    }


def test_the_number_of_labels_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "MAX_SERIES", 3)
    counted = Tally()
    for number in range(10):
        counted.recent("route", str(number)).append(1)
    assert {labels: sum(bits.values()) for labels, _, bits in counted.added_up()} == {
        ("route", "0"): 1,
        ("route", "1"): 1,
        ("route", "2"): 1,
        (OTHER, OTHER): 7,
    }
