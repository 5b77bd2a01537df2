"""Budgets of events per minute, with a fixed clock."""

from __future__ import annotations

import math

import pytest

from app.identity.budget import NETWORKS, Budget, peer_of
from tests.identity.clock import Clock


@pytest.mark.parametrize("per_minute", [1, 2, 7, 60, 1000, 100_000])
def test_the_budget_holds_for_bursts_and_for_spread_events(per_minute: int) -> None:
    clock = Clock()
    budget = Budget(per_minute, clock=clock)
    assert sum(not budget.spend("a") for _ in range(per_minute + 50)) == per_minute
    wait = budget.spend("a")
    assert wait == math.ceil(60 / per_minute)
    assert not budget.spend("b")
    clock.now += 60 / per_minute
    assert [bool(budget.spend("a")) for _ in range(3)] == [False, True, True]
    clock.now += 600
    assert sum(not budget.spend("a") for _ in range(per_minute + 50)) == per_minute


def test_after_the_stated_seconds_there_is_one_more() -> None:
    clock = Clock()
    budget = Budget(3, clock=clock)
    for _ in range(200):
        while (wait := budget.spend("a")) == 0:
            pass
        assert 1 <= wait <= 20
        clock.now += wait
        assert budget.spend("a") == 0


def test_an_event_that_is_refunded_does_not_count() -> None:
    clock = Clock()
    budget = Budget(3, clock=clock)
    for _ in range(20):
        assert budget.spend("a") == 0
        budget.refund("a")
        budget.refund("b")
    assert [bool(budget.spend("a")) for _ in range(4)] == [False, False, False, True]
    budget.refund("a")
    assert [bool(budget.spend("a")) for _ in range(2)] == [False, True]
    assert [bool(budget.spend("b")) for _ in range(4)] == [False, False, False, True]


def test_more_is_refunded_than_a_budget_has_to_no_party() -> None:
    clock = Clock()
    budget = Budget(3, clock=clock)
    assert budget.spend("a") == 0
    for _ in range(5):
        budget.refund("a")
    assert [bool(budget.spend("a")) for _ in range(4)] == [False, False, False, True]


def test_no_limit() -> None:
    budget = Budget(0)
    assert not any(budget.spend("a") for _ in range(10_000))
    assert len(budget) == 0


def test_many_parties_neither_grow_the_counters_nor_reset_them() -> None:
    clock = Clock()
    budget = Budget(2, max_parties=100, clock=clock)
    while not budget.spend("spent"):
        pass
    refused = sum(bool(budget.spend(f"party {number}")) for number in range(5000))
    assert len(budget) <= 101
    assert refused >= 5000 - 99 - 2
    assert budget.spend("spent")
    # A minute later they have full budgets, as new parties have.
    clock.now += 61
    assert not budget.spend("spent")
    assert not any(budget.spend(f"new {number}") for number in range(50))
    assert len(budget) <= 101


@pytest.mark.parametrize(("after", "has_its_own"), [(1 - 2**-20, False), (1, True)])
def test_a_party_with_a_full_budget_is_discarded(after: float, has_its_own: bool) -> None:
    clock = Clock()
    budget = Budget(60, max_parties=1, clock=clock)
    assert not budget.spend("first")
    clock.now += after
    assert not budget.spend("second")
    assert len(budget) == (1 if has_its_own else 2), "the shared one as well"
    assert bool(budget.spend("third")) is False
    assert sum(not budget.spend("second") for _ in range(100)) == (59 if has_its_own else 58)


def test_the_default_number_of_counted_parties() -> None:
    budget = Budget(1, clock=Clock())
    refused = [budget.spend(f"party {number}") for number in range(20_002)]
    assert sum(map(bool, refused)) == 1, "the first after 20,000 has the shared budget, which is then spent"
    assert len(budget) == 20_001


def test_a_caller_with_very_many_addresses_spends_the_budget_of_its_own_networks() -> None:
    clock = Clock()
    budget = Budget(3, max_parties=50, wider=NETWORKS, clock=clock)

    def accepted(*addresses: str) -> int:
        return sum(not budget.spend(peer_of(address)) for address in addresses for _ in range(5))

    # First all peers, and then all networks, are those of one provider.
    assert accepted(*(f"2001:db8:1:{number:x}::1" for number in range(50))) == 150
    assert accepted(*(f"2001:db8:1:{number:x}::1" for number in range(50, 200))) == 3, "they share their network"
    for other in ("2001:db8:2::1", "2001:db9::1", "192.0.2.1", "198.51.100.1"):
        assert accepted(other) == 3
    assert accepted("192.0.2.2") == 0, "in the network of another"
    assert accepted(*(f"2001:db8:{number:x}:9::1" for number in range(3, 300))) == 45 * 3 + 3
    for other in ("2001:db9:7::1", "203.0.113.1", "100.64.0.1"):
        assert accepted(other) == 3, other
    assert accepted("100.64.1.1") == 0
    assert len(budget) <= 151
    clock.now += 61
    assert accepted("2001:db8:9:9::1", "192.0.2.2") == 6


def test_beyond_all_networks_one_budget_is_shared() -> None:
    budget = Budget(1, max_parties=4, wider=NETWORKS, clock=Clock())
    accepted = sum(not budget.spend(f"{number}.0.0.1") for number in range(1, 200))
    assert accepted == 4 * 3 + 1
    assert budget.spend("unix:/run/authz.sock") and budget.spend("")
    assert len(budget) == 13


@pytest.mark.parametrize(
    ("peer", "networks"),
    [
        ("192.0.2.7", ["192.0.2.0/24", "192.0.0.0/16"]),
        ("2001:db8:1:2::/64", ["2001:db8:1::/48", "2001:db8::/32"]),
        ("192.0.2.0/24", ["192.0.2.0/24", "192.0.0.0/16"]),
        ("2001:db8:1::/48", ["2001:db8:1::/48", "2001:db8::/32"]),
        ("192.0.0.0/16", ["192.0.0.0/16", "192.0.0.0/16"]),
        ("/run/authz.sock", ["", ""]),
        ("", ["", ""]),
    ],
)
def test_the_networks_of_a_peer(peer: str, networks: list[str]) -> None:
    assert [network_of(peer) for network_of in NETWORKS] == networks


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_the_peer_of_an_address(address: str, peer: str) -> None:
    assert peer_of(address) == peer
