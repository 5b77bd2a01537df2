"""Budgets with a fixed clock: who has one, and the answers beyond it."""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.gateway.proxies import TrustedProxies
from app.http.door.budgets import (
    BAD_CREDENTIALS,
    BUDGET_REFUSALS,
    KEY_ISSUES,
    SIGN_INS,
    Budgets,
)
from app.identity.budget import MAX_PARTIES, BudgetSpent
from tests.identity.clock import Clock

pytestmark = pytest.mark.anyio

TRUSTED = TrustedProxies([ip_network("10.0.0.0/8")])


def scope(peer: str | None, *forwarded: str) -> Any:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    return {"client": None if peer is None else (peer, 4321), "headers": headers}


def budgets(clock: Clock, proxies: TrustedProxies = TRUSTED) -> Budgets:
    """Three bad credentials and two new keys a minute."""
    return Budgets(proxies, bad_credentials=3, key_issues=2, clock=clock)


@pytest.mark.parametrize(
    ("proxies", "spent", "same", "other"),
    [
        # The peer itself, whatever the header states.
        (TRUSTED, scope("192.0.2.1"), scope("192.0.2.1", "192.0.2.9"), scope("192.0.2.2")),
        # The client behind a trusted proxy.
        (
            TRUSTED,
            scope("10.0.0.1", "192.0.2.1"),
            scope("10.0.0.2", "8.8.8.8, 192.0.2.1"),
            scope("10.0.0.1", "192.0.2.2"),
        ),
        # A proxy that does not state its client is the peer.
        (TRUSTED, scope("10.0.0.1"), scope("10.0.0.1", "unknown"), scope("10.0.0.2")),
        (
            TrustedProxies(None),
            scope("192.0.2.1", "8.8.8.8"),
            scope("192.0.2.1", "8.8.4.4"),
            scope("192.0.2.2", "8.8.8.8"),
        ),
        (TRUSTED, scope("2001:db8::1"), scope("2001:db8::ffff"), scope("2001:db8:0:1::1")),
        (TRUSTED, scope("/run/one.sock"), scope("/run/one.sock"), scope("/run/other.sock")),
    ],
)
def test_a_budget_belongs_to_an_address(proxies: TrustedProxies, spent: Any, same: Any, other: Any) -> None:
    found = budgets(Clock(), proxies)
    assert [found.count_bad_credentials(spent) for _ in range(3)] == [None] * 3
    for each in (spent, same):
        beyond = found.count_bad_credentials(each)
        assert beyond is not None
        assert (beyond.refusal.status, json.loads(beyond.refusal.body)) == (429, {"detail": "Too many requests."})
        assert dict(beyond.refusal.headers)[b"retry-after"] == b"20"
    assert found.count_bad_credentials(other) is None


def test_nothing_is_counted_for_a_peer_without_an_address() -> None:
    found = budgets(Clock())
    assert [found.count_bad_credentials(scope(None, "192.0.2.1")) for _ in range(10)] == [None] * 10
    assert [found.spend_bad_credentials(None) for _ in range(10)] == [0] * 10
    assert [found.spend_bad_credentials("192.0.2.1") for _ in range(4)] == [0, 0, 0, 20]


def test_there_is_no_limit_by_default() -> None:
    found = Budgets(TRUSTED)
    assert [found.count_bad_credentials(scope("192.0.2.1")) for _ in range(1_000)] == [None] * 1_000
    for _ in range(1_000):
        found.check_key_issue("user_a")


def test_an_owner_has_a_budget_of_new_keys() -> None:
    clock = Clock()
    found = budgets(clock)
    for _ in range(2):
        found.check_key_issue("user_a")
    found.check_key_issue("user_b")
    with pytest.raises(BudgetSpent) as beyond:
        found.check_key_issue("user_a")
    assert beyond.value.retry_after == 30
    assert found.spend_bad_credentials("user_a") == 0, "another budget"
    clock.now += 30
    found.check_key_issue("user_a")


# The requests of an address that are allowed at once, and the seconds until the next one.
FIXED = {"authorizations": (60, 1), "tokens": (360, 1), "registrations": (10, 6), "sign_ins": (120, 1)}


@pytest.mark.parametrize(("budget", "most", "wait"), [(name, *each) for name, each in FIXED.items()])
def test_an_address_has_a_fixed_budget_of_each_kind_of_request(budget: str, most: int, wait: int) -> None:
    clock = Clock()
    found, asked = budgets(clock), scope("10.0.0.1", "192.0.2.1")
    before = BUDGET_REFUSALS[budget]
    for _ in range(most):
        found.check_request(budget, asked)
    for _ in range(2):
        with pytest.raises(BudgetSpent) as beyond, capture_logs() as lines:
            found.check_request(budget, scope("192.0.2.1"))
        assert beyond.value.retry_after == wait
    assert not lines, "once a minute"
    assert BUDGET_REFUSALS[budget] == before + 2
    found.check_request(budget, scope("10.0.0.1", "192.0.2.2"))
    for other in FIXED.keys() - {budget}:
        found.check_request(other, asked)
    found.refund_request(budget, asked)
    found.check_request(budget, asked)
    with pytest.raises(BudgetSpent):
        found.check_request(budget, asked)
    clock.now += wait
    found.check_request(budget, asked)


def test_a_request_without_an_address_spends_no_budget() -> None:
    found, nowhere = budgets(Clock()), scope(None, "192.0.2.1")
    for _ in range(1_000):
        found.check_request(SIGN_INS, nowhere)
    found.refund_request(SIGN_INS, nowhere)


def test_among_very_many_addresses_a_new_one_spends_the_budget_of_its_network_only() -> None:
    found = budgets(Clock())
    for number in range(MAX_PARTIES):
        found.check_request(SIGN_INS, scope(f"10.{number >> 8}.{number & 255}.1"))
    for _ in range(120):
        found.check_request(SIGN_INS, scope("192.0.2.1"))
    with pytest.raises(BudgetSpent):
        found.check_request(SIGN_INS, scope("192.0.2.2"))
    found.check_request(SIGN_INS, scope("198.51.100.1"))


def test_an_app_has_a_budget_of_wrong_secrets() -> None:
    found = budgets(Clock())
    with capture_logs() as lines:
        assert [found.count_client_secret("app_a") for _ in range(12)] == [0] * 10 + [6] * 2
    assert [(line["budget"], line["by"]) for line in lines] == [("client_secrets", "app_a")]
    assert found.count_client_secret("app_b") == 0


def test_a_token_that_a_service_asks_about_counts_for_its_sender_or_if_it_was_invented_for_the_service() -> None:
    found = budgets(Clock())
    with capture_logs() as lines:
        for is_known in (True, False):
            address = "192.0.2.1" if is_known else "192.0.2.2"
            spent = [found.spend_relayed_token(address, "shop", is_known=is_known) for _ in range(4)]
            assert spent == [0, 0, 0, 20]
        assert [found.spend_relayed_token(None, "shop", is_known=True) for _ in range(10)] == [0] * 10
        assert [found.spend_relayed_token(None, "shop", is_known=False) for _ in range(4)] == [0, 0, 0, 20]
    assert [(line["budget"], line["by"]) for line in lines] == [
        ("bad_credentials", "192.0.2.1"),
        ("unknown_tokens", "shop"),
    ]
    assert found.spend_relayed_token(None, "other", is_known=False) == 0
    assert found.spend_relayed_token("192.0.2.3", "shop", is_known=False) == 0
    assert found.spend_bad_credentials("192.0.2.1") == 20, "the same budget as at a door"


def test_refusals_beyond_a_budget_are_counted_and_logged_once_a_minute() -> None:
    clock = Clock()
    found = budgets(clock)
    before = dict(BUDGET_REFUSALS)
    with capture_logs() as lines:
        for _ in range(3):
            assert found.spend_bad_credentials("192.0.2.1") == 0
        assert not lines
        started = clock.now
        for seconds, count in ((0, 1), (0, 1), (30, 1), (59.9, 1), (60, 2), (60, 2), (119.9, 2), (120, 3)):
            clock.now = started + seconds
            while not found.spend_bad_credentials("192.0.2.1"):
                """Until it is spent again."""
            assert len(lines) == count, seconds
        for _ in range(2):
            found.check_key_issue("user_a")
        with pytest.raises(BudgetSpent):
            found.check_key_issue("user_a")
    refused = {name: BUDGET_REFUSALS[name] - before[name] for name in before}
    assert refused == {
        BAD_CREDENTIALS: 8,
        KEY_ISSUES: 1,
        "unknown_tokens": 0,
        "authorizations": 0,
        "tokens": 0,
        "client_secrets": 0,
        "registrations": 0,
        "sign_ins": 0,
        "connections": 0,
        "long_work": 0,
    }
    assert [(line["budget"], line["by"], line["log_level"]) for line in lines] == [
        *[("bad_credentials", "192.0.2.1", "warning")] * 3,
        ("key_issues", "user_a", "warning"),
    ]
    assert lines[0]["refused"] == before[BAD_CREDENTIALS] + 1
