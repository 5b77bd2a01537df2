"""Nothing is decided while the policy may be stale."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.policy.engine.live import LivePolicy
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.suspended import CannotDecide, Suspended
from app.policy.routing.routes import Route, RouteTable
from tests.policy.shipped import write
from tests.policy.small import files

pytestmark = pytest.mark.anyio

TABLE = RouteTable([Route("/x", "GET"), Route("/healthz", "GET")])
HEALTH = "p, anyone, /healthz, GET, allow"
OPEN, SHUT = f"p, anyone, /x, GET, allow\n{HEALTH}", f"p, a:read, /x, GET, allow\n{HEALTH}"
ANYONE = frozenset({"anyone"})


@pytest.fixture
def live(tmp_path: Path) -> LivePolicy:
    return LivePolicy(write(tmp_path / "policies", files(OPEN)), TABLE)


def assert_undecided(live: LivePolicy) -> None:
    assert live.suspended
    assert live.active.recall(ANYONE, "/x", "GET") is None, "whatever was decided before"
    with pytest.raises(CannotDecide):
        live.active.decide(ANYONE, "/x", "GET")
    assert live.active.decide(ANYONE, "/healthz", "GET"), "health checks still work"


async def test_a_new_policy_does_not_end_a_suspension(live: LivePolicy) -> None:
    live.suspend()
    assert_undecided(live)
    for rows in (SHUT, OPEN, SHUT):
        write(live.directory, files(rows))
        assert (await live.reload()).outcome == "swapped"
        assert_undecided(live)
    live.resume()
    assert not live.suspended
    assert not live.active.decide(ANYONE, "/x", "GET"), "by the policy that was loaded meanwhile"


def test_a_suspended_policy_replaces_all_that_decides() -> None:
    def deciding(kind: type) -> set[str]:
        return {name for name, found in vars(kind).items() if "Decision" in str(get_annotations(found).get("return"))}

    def get_annotations(found: object) -> dict[str, object]:
        return getattr(found, "__annotations__", {})

    public = {name for name in deciding(Snapshot) if not name.startswith("_")}
    assert public == {"decide", "recall"} == deciding(Suspended)


async def test_a_cached_decision_is_not_recalled_during_a_suspension(live: LivePolicy) -> None:
    before = live.active
    decision = before.decide(ANYONE, "/x", "GET")
    assert decision
    assert before.recall(ANYONE, "/x", "GET") is decision
    assert before.recall(ANYONE, "/x", "POST") is None
    assert before.recall(frozenset({"other"}), "/x", "GET") is None, "not classified yet"
    live.suspend()
    assert_undecided(live)
    live.resume()
    assert live.active.recall(ANYONE, "/x", "GET") is decision


async def test_neither_a_refused_policy_nor_a_second_suspension_changes_it(live: LivePolicy) -> None:
    live.suspend()
    write(live.directory, files(f"{OPEN}\nnonsense"))
    assert (await live.reload()).outcome == "refused"
    live.suspend()
    assert_undecided(live)
    live.resume()
    assert live.active.decide(ANYONE, "/x", "GET")
    live.resume()
    assert live.active.decide(ANYONE, "/x", "GET")
