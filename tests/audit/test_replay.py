"""Replay: its counts equal those of deciding every logged request one by one."""

from __future__ import annotations

import random
from collections import Counter
from functools import cache
from itertools import groupby

import pytest

from app.audit.record import DecisionKey, Record, StatedGrants, decision_key, grant_set
from app.audit.replay import Occurrences, Replay, ReplayKey, ReplayOutcome
from app.audit.replay_view import result
from app.identity.principal import delegated_principal
from app.policy.engine.snapshot import Snapshot
from app.policy.language.when.condition import Context
from tests.policy.engine.test_delegation import App
from tests.policy.shipped import shipped_files, snapshot_of

CATALOG = "catalog.csv"
TEAMS, ONCE = "/api/v1/teams", Occurrences(1, 1)
_GRANTS = ("catalog:read", "catalog:write", "holdings:read", "policies:read", "role:editor")


def candidate(old: str, new: str, file: str = CATALOG) -> Snapshot:
    """The shipped policy with one text replaced."""
    files = dict(shipped_files())
    text = files[file].decode()
    assert text.count(old) == 1
    files[file] = text.replace(old, new).encode()
    return snapshot_of(files)


@cache
def active() -> Snapshot:
    """The shipped policy."""
    return snapshot_of(shipped_files())


def group(
    held: frozenset[str] | None, resource: str, action: str, allowed: bool, number: int = 1
) -> tuple[ReplayKey, Occurrences]:
    grants: StatedGrants | None = None if held is None else grant_set(held)
    return ReplayKey(grants, "jwt", "user_a", None, resource, action, allowed), Occurrences(number, 1)


def person(*grants: str) -> frozenset[str]:
    return frozenset({"anyone", "auth:jwt", "user:user_a", *grants})


def log(seed: int, size: int) -> list[Record]:
    """Decisions of the shipped policy."""
    draw = random.Random(seed)
    shipped = snapshot_of(shipped_files())
    routes = [(route.template, route.method) for route in shipped.table.routes]
    callers = [person(*draw.sample(_GRANTS, draw.randint(0, 3))) for _ in range(12)]
    records = []
    for number in range(size):
        held = draw.choice(callers)
        resource, action = draw.choice(routes)
        decision = shipped.decide(held, resource, action)
        records.append(
            Record(
                at=number,
                latency=1,
                request_id=f"r{number}",
                token_id=None,
                key=DecisionKey(
                    door="app",
                    subject=f"user_{callers.index(held)}",
                    method="jwt",
                    key_id=None,
                    action=action,
                    resource=resource,
                    allowed=decision.allowed,
                    reason=str(decision.reason),
                    rule_place=None,
                    rule_text=None,
                    missing=decision.missing,
                    revision=shipped.revision,
                    grants=grant_set(held),
                ),
            )
        )
    return records


def alike(records: list[Record]) -> list[tuple[ReplayKey, Occurrences]]:
    def key(numbered: tuple[int, Record]) -> ReplayKey:
        key = numbered[1].key
        return ReplayKey(key.grants, key.method, key.subject, None, key.resource, key.action, key.allowed)

    numbered = sorted(enumerate(records), key=lambda one: repr(key(one)))
    grouped = [(of, [row_id for row_id, _ in some]) for of, some in groupby(numbered, key=key)]
    return [(of, Occurrences(len(ids), max(ids))) for of, ids in grouped]


CANDIDATES = [
    ("p, catalog:read, /api/v1/teams/**, GET|HEAD, allow", "p, anyone, /api/v1/teams/**, GET|HEAD, allow"),
    ("p, catalog:read, /api/v1/games/**, GET|HEAD, allow", "p, policies:read, /api/v1/games/**, GET|HEAD, allow"),
    (
        "p, catalog:write, /api/v1/teams/**, POST|PUT|PATCH|DELETE, allow",
        "p, catalog:write, /api/v1/teams/**, POST|PUT|PATCH|DELETE, allow\np, user:user_a, /api/v1/**, POST, deny",
    ),
]


@pytest.mark.parametrize("change", CANDIDATES, ids=["wider", "other", "deny"])
def test_a_replay_equals_deciding_one_by_one(change: tuple[str, str]) -> None:
    records = log(3, 6_000)
    snapshot = candidate(*change)
    replay = Replay(snapshot, active())
    for start in range(0, len(records), 1_700):  # slices that repeat the same groups
        part = records[start : start + 1_700]
        replay.add([(of, Occurrences(times.number, times.last_id + start)) for of, times in alike(part)])
    counts: Counter[ReplayOutcome] = Counter()
    changes: Counter[tuple[ReplayOutcome, str, str, str]] = Counter()
    last: dict[tuple[ReplayOutcome, str, str, str], int] = {}
    for row_id, record in enumerate(records):
        assert record.key.held is not None
        now = snapshot.decide(record.key.held, record.key.resource, record.key.action)
        told = (
            ReplayOutcome.SAME
            if now.allowed is record.key.allowed
            else ReplayOutcome.GAINED
            if now
            else ReplayOutcome.LOST
        )
        counts[told] += 1
        if told is not ReplayOutcome.SAME:
            which = (told, record.key.subject, record.key.resource, record.key.action)
            changes[which] += 1
            last[which] = row_id
    assert {told: count for told, count in replay.counts.items() if count} == counts
    assert len(counts) > 1, "there are changes"
    found = {(c.outcome, c.key.subject, c.key.resource, c.key.action): c.times for c in replay.changes}
    assert {which: times.number for which, times in found.items()} == changes
    assert {which: times.last_id for which, times in found.items()} == last


def test_a_replay_with_the_same_policy_has_no_changes() -> None:
    replay = Replay(active(), active())
    replay.add(alike(log(4, 1_000)))
    assert replay.counts[ReplayOutcome.SAME] == 1_000
    assert replay.changes == []


def test_gains_come_first_and_the_most_frequent_before_others() -> None:
    snapshot = candidate(*CANDIDATES[1])
    replay = Replay(snapshot, active())
    games = "/api/v1/games"
    replay.add(
        [
            group(person("catalog:read"), games, "GET", True, 9),
            group(person("policies:read"), games, "GET", False, 2),
            group(person("policies:read"), games, "HEAD", False, 5),
        ]
    )
    assert [(c.outcome, c.key.action, c.times.number) for c in replay.changes] == [
        (ReplayOutcome.GAINED, "HEAD", 5),
        (ReplayOutcome.GAINED, "GET", 2),
        (ReplayOutcome.LOST, "GET", 9),
    ]
    assert replay.changes[2].decision.missing == ("policies:read",)


def test_undecidable_decisions_are_counted() -> None:
    replay = Replay(active(), active())
    bad, known = group(None, "/api/v1/teams", "GET", False, 3)
    replay.add([(bad._replace(method=None), known), group(None, "/api/v1/teams", "GET", True, 4)])
    assert replay.counts[ReplayOutcome.UNVERIFIED] == 3
    assert replay.counts[ReplayOutcome.UNKNOWN] == 4
    assert replay.changes == []


def test_effects_of_earlier_changes_are_not_those_of_the_candidate() -> None:
    # The log has allow, but the active policy and the candidate both deny; and vice versa.
    replay = Replay(candidate(*CANDIDATES[1]), active())
    teams, games = "/api/v1/teams", "/api/v1/games"
    replay.add(
        [
            group(person(), teams, "GET", True, 7),
            group(person("catalog:read"), teams, "GET", False, 5),
            group(person("catalog:read"), games, "GET", False, 3),
            group(person("catalog:read"), games, "GET", True, 2),
        ]
    )
    assert {told: count for told, count in replay.counts.items() if count} == {
        ReplayOutcome.SAME: 12,
        ReplayOutcome.LOST: 5,
    }
    assert replay.changed_since == 15
    # The logged verdict does not split one change in two.
    assert [(c.outcome, c.key.resource, c.times.number) for c in replay.changes] == [(ReplayOutcome.LOST, games, 5)]
    shown = result(replay, replay.changes, {}, "7d")
    assert (shown.changed_since, shown.active, shown.revision) == (15, active().revision, replay.snapshot.revision)


def test_a_replay_does_not_touch_the_cache_of_the_active_policy() -> None:
    snapshot = snapshot_of(shipped_files())
    Replay(candidate(*CANDIDATES[0]), snapshot).add(alike(log(5, 500)))
    assert snapshot.misses == 0


TEAM = "/api/v1/teams"
PLAIN = "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow"
WHEN = "\"request.ip == '10.0.0.1'\""


@pytest.mark.parametrize(
    ("rows", "held", "told"),
    [
        (f"p, catalog:read, /api/v1/teams/**, GET|HEAD, allow, {WHEN}", ("catalog:read",), ReplayOutcome.CONDITION),
        (f"p, catalog:read, /api/v1/teams/**, GET|HEAD, allow, {WHEN}", (), ReplayOutcome.SAME),
        (f"{PLAIN}\np, anyone, /api/v1/teams/**, GET|HEAD, deny, {WHEN}", ("catalog:read",), ReplayOutcome.CONDITION),
        (f"{PLAIN}\np, anyone, /api/v1/teams/**, GET|HEAD, deny, {WHEN}", (), ReplayOutcome.SAME),
        (f"{PLAIN}\np, policies:read, /api/v1/teams/**, GET|HEAD, deny, {WHEN}", ("catalog:read",), ReplayOutcome.SAME),
        (f"{PLAIN}\np, anyone, /api/v1/teams/**, GET|HEAD, allow, {WHEN}", ("catalog:read",), ReplayOutcome.SAME),
        (
            f"{PLAIN}\np, anyone, /api/v1/teams/**, GET|HEAD, deny, {WHEN}\np, auth:jwt, {TEAM}, GET, deny",
            ("catalog:read",),
            ReplayOutcome.LOST,
        ),
    ],
)
def test_a_condition_matters_only_if_it_determines_the_verdict(
    rows: str, held: tuple[str, ...], told: ReplayOutcome
) -> None:
    snapshot = candidate(PLAIN, rows)
    replay = Replay(snapshot, active())
    replay.add([group(person(*held), TEAM, "GET", True, 2)])
    assert {key: count for key, count in replay.counts.items() if count} == {told: 2}
    contexts: list[Context] = [{"request": {"ip": "10.0.0.1"}}, {"request": {"ip": "10.0.0.2"}}]
    verdicts = {snapshot.decide(person(*held), TEAM, "GET", context).allowed for context in contexts}
    now = active().decide(person(*held), TEAM, "GET").allowed
    assert (
        verdicts
        == {ReplayOutcome.CONDITION: {True, False}, ReplayOutcome.SAME: {now}, ReplayOutcome.LOST: {not now}}[told]
    )


def test_a_condition_in_both_policies_is_no_change() -> None:
    conditional = f"p, catalog:read, /api/v1/teams/**, GET|HEAD, allow, {WHEN}"
    both = candidate(PLAIN, conditional)
    other = candidate(PLAIN, f"{conditional}\np, policies:read, /api/v1/teams/**, GET|HEAD, deny")
    for new, told in (
        (other, ReplayOutcome.CONDITION),
        (candidate(PLAIN, f"# why\n{conditional}"), ReplayOutcome.SAME),
    ):
        replay = Replay(new, both)
        replay.add([group(person("catalog:read"), TEAM, "GET", True, 2)])
        assert {key: count for key, count in replay.counts.items() if count} == {told: 2}
        assert replay.changes == []


def test_of_very_many_changes_the_first_are_listed_and_all_are_counted() -> None:
    replay = Replay(
        candidate("p, catalog:read, /api/v1/teams/**", "p, holdings:read, /api/v1/teams/**"), active(), max_changes=2
    )
    lost = [group(person("catalog:read", f"x:{number}"), "/api/v1/teams", "GET", True, number) for number in (1, 2, 3)]
    replay.add([*lost, lost[1], lost[2]])
    assert replay.counts[ReplayOutcome.LOST] == 11
    assert [change.times.number for change in replay.changes] == [4, 1]
    shown = result(replay, replay.changes[:1], {1: "r1"}, "7d")
    assert (shown.left_out, shown.decisions, shown.changes[0].example) == (7, 11, "r1")


def test_decisions_about_apps_are_replayed_for_both_sides() -> None:
    app = App("acme")
    caller = delegated_principal("user_a", app, ["catalog:read"], ["catalog:read"])
    shipped = active()
    keys = [decision_key("app", TEAMS, "GET", caller, shipped.decide(caller.held, TEAMS, "GET"))]
    assert keys[0].allowed
    groups = [
        (
            ReplayKey(key.grants, key.method, key.subject, None, key.resource, key.action, key.allowed, key.client_id),
            ONCE,
        )
        for key in keys
    ]
    ask = "p, app-kind:registered, scope:catalog:read, ask, allow"
    lost = [
        candidate(ask, "", "apps.csv"),
        candidate(ask, f"{ask}\np, app:acme, scope:catalog:read, ask, deny", "apps.csv"),
        candidate(ask, f"{ask}\np, app:acme, {TEAMS}, GET, deny", "apps.csv"),
        candidate(ask, f"{ask}\np, user:user_a, {TEAMS}, GET, deny", "apps.csv"),
    ]
    same = [shipped, candidate(ask, f"{ask}\np, app:other, {TEAMS}, GET, deny", "apps.csv")]
    for snapshot, outcome in [*((each, "lost") for each in lost), *((each, "same") for each in same)]:
        replay = Replay(snapshot, shipped)
        replay.add(groups)
        assert {name.value: count for name, count in replay.counts.items() if count} == {outcome: 1}
        assert [change.key.client_id for change in replay.changes] == (["acme"] if outcome == "lost" else [])
