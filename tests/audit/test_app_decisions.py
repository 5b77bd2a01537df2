"""Counts of decisions by app are bounded, however many apps there are."""

from __future__ import annotations

from app.audit.app_decisions import MAX_APPS, OTHER, AppDecisions


def test_decisions_are_counted_by_app_and_verdict() -> None:
    apps = AppDecisions()
    for number in range(MAX_APPS + 3):
        apps.note(f"app_{number}", allowed=True)
    apps.note("app_0", allowed=False)
    apps.note("app_0", allowed=True)
    found = {(client_id, allowed): count for client_id, allowed, count in apps}
    assert found["app_0", True] == 2
    assert found["app_0", False] == 1
    assert found[OTHER, True] == 3
    assert found[OTHER, False] == 0
    assert len(found) == MAX_APPS + 3
