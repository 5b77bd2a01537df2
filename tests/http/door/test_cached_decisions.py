"""Decisions from a cache: those of the same caller, resource and action under the active policy, and of no other."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from app.identity.api_keys import KeyRecord
from app.policy.engine.live import LivePolicy
from app.policy.engine.snapshot import Snapshot
from tests.http.door.test_shut_door import TABLE, Opened
from tests.policy.small import files, snapshot

pytestmark = pytest.mark.anyio

OPEN = (
    *(f"p, anyone, {path}, GET, allow" for path in ("/open", "/healthz", "/readyz", "/direct", "/own")),
    "p, a:read, /shut, GET, allow",
    "p, b:read, /unsure, GET, allow",
    "p, a:read, /read/{place}, GET, allow",
    "p, b:read, /read/{place}, WEBSOCKET, allow",
)
# The same, but for the permissions.
EXCHANGED = tuple(
    re.sub("[ab]:read", lambda found: "b:read" if found[0] == "a:read" else "a:read", row) for row in OPEN
)
PATHS = ("/open", "/shut", "/unsure", "/read/{place}")


@pytest.fixture
def door(tmp_path: Path) -> Opened:
    return Opened(live=LivePolicy(tmp_path, TABLE, files(*OPEN)))


async def test_each_caller_gets_its_own_verdict_in_any_order(door: Opened) -> None:
    keys = {scopes: door.key(*scopes) for scopes in ((), ("a:read",), ("b:read",), ("a:read", "b:read"))}
    policies = [snapshot(*rows, table=TABLE) for rows in (OPEN, EXCHANGED)]
    seeded = random.Random(7)
    for number in range(300):
        if number % 40 == 0:
            door.live.active = policies[number // 40 % 2]
        scopes, path = seeded.choice(list(keys)), seeded.choice(PATHS)
        kind = seeded.choice(["http", "websocket"]) if "{" in path else "http"
        action = "WEBSOCKET" if kind == "websocket" else "GET"
        held = frozenset({"anyone", "auth:api_key", *scopes})
        expected = door.live.active.detached().decide(held, path, action).allowed  # which has no cache yet
        status, _ = await door.ask(path.replace("{place}", "7").encode(), type=kind, bearer=keys[scopes])
        assert (status == 200) is expected, (scopes, path, action)
    for number in range(4):  # without credentials
        door.live.active = policies[number % 2]
        found = [await door.ask(path) for path in (b"/open", b"/shut", b"/unsure", b"/read/7")]
        assert [status for status, _ in found] == [200, 401, 401, 401]


async def test_a_cached_decision_is_not_made_again(door: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    key = door.key("a:read")
    asked = (b"/open", b"/shut", b"/unsure")
    first = [await door.ask(path, bearer=key) for path in asked]
    assert [status for status, _ in first] == [200, 200, 403]
    records = await door.logged()

    def decide(*_: object) -> None:
        raise AssertionError("decided")

    monkeypatch.setattr(Snapshot, "decide", decide)
    assert [await door.ask(path, bearer=key) for path in asked] == first
    assert [record.key for record in await door.logged()] == [record.key for record in records]


class _Slow(dict[bytes, KeyRecord]):
    """Keys during whose look-up the policy is replaced."""

    door: Opened

    def get(self, digest: bytes, default: object = None) -> KeyRecord:
        self.door.live.active = snapshot(*EXCHANGED, table=TABLE)
        return self[digest]


async def test_a_policy_that_is_replaced_while_a_key_is_looked_up_decides_no_more(door: Opened) -> None:
    key = door.key("a:read")
    door.keys = _Slow(door.keys)
    door.keys.door = door
    assert (await door.ask(b"/shut", bearer=key))[0] == 403
    assert (await door.ask(b"/unsure", bearer=key))[0] == 200
    (refused, _) = await door.logged()
    assert refused.key.revision == door.live.active.revision


async def test_a_known_caller_waits_for_the_log_only_while_it_is_crowded(
    door: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(_: object) -> None:
        raise AssertionError("waited")

    monkeypatch.setattr(type(door.log.throttle), "wait", wait)
    keys = [door.key("a:read"), door.key()]
    for _ in range(3):
        assert [(await door.ask(b"/shut", bearer=key))[0] for key in keys] == [200, 403]
